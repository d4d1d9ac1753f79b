/** What an app may say to nginx, and what of it would reach further. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseNginx } from '../../../../src/shared/nginx/parse.ts';
import { checkSnippet } from '../../../../src/shared/nginx/snippet.ts';

const problems = (text: string, allowLua = false): string[] =>
  checkSnippet(text, { allowLua }).map(({ line, message }) => `${line}: ${message}`);

describe('what is allowed', () => {
  it.each([
    'add_header X-Frame-Options DENY always;',
    'add_header "Content-Security-Policy" "default-src \'self\'; img-src *";',
    'expires 1h; etag on; gzip on; gzip_types text/css application/json;',
    'client_max_body_size 20m;\nclient_body_timeout 30s;',
    'proxy_read_timeout 5m; proxy_buffering off; proxy_buffers 8 16k;',
    'proxy_read_timeout 24h; keepalive_timeout 30s 1m; send_timeout "1h"; proxy_connect_timeout 500ms;',
    'proxy_buffering on; proxy_request_buffering off;',
    'proxy_set_header X-Tenant $http_x_tenant;',
    'rewrite ^/old/(.*)$ /new/$1 break;',
    'rewrite ^/a$ https://example.com/b;',
    'return 301 https://www.example.com$request_uri;',
    'if ($http_user_agent ~* "bot|spider") {\n  return 403;\n}',
    'if ($request_method = POST){return 405;}',
    'if ($args ~ "^id=(?<app_id>\\d{1,9})$") { set $app_x $app_id; }',
    'set $app_cache "${request_method}-$uri"; add_header X-Key $app_cache;',
    'error_page 502 503 /sorry.html; error_page 404 =200 /index.html;',
    'return 200 "two\\nlines"; sub_filter "a\nb" "c\nd";',
    'limit_rate 500k; sub_filter </head> "<b></b></head>"; sub_filter_once on;',
    'allow 10.0.0.0/8; deny all;',
    'proxy_cookie_path ~^/api(.*)$ $1; proxy_redirect off;',
    '# nothing but a comment with } and "',
    '',
  ])('%s', (text) => {
    expect(problems(text)).toEqual([]);
  });
});

describe('what is refused, by name and line', () => {
  it.each([
    ['listen 80;', 'listen', 'outside'],
    ['server_name evil.example.com;', 'server_name', 'routes add'],
    ['load_module modules/x.so;', 'load_module', 'whole router'],
    ['include /etc/nginx/nginx.conf;', 'include', 'files'],
    ['alias /etc/;', 'alias', 'files'],
    ['root /;', 'root', 'files'],
    ['proxy_pass http://169.254.169.254/;', 'proxy_pass', 'elsewhere'],
    ['fastcgi_pass unix:/run/x.sock;', 'fastcgi_pass', 'elsewhere'],
    ['access_log /etc/cron.d/x;', 'access_log', 'logs'],
    ['auth_basic_user_file /etc/shadow;', 'auth_basic_user_file', 'file'],
    ['location / { }', 'location', 'outside'],
    ['proxy_ignore_headers X-Accel-Redirect;', 'proxy_ignore_headers', 'as it is'],
    ['proxy_set_header Host other;', 'proxy_set_header', 'sets `Host`'],
    ['proxy_set_header x-forwarded-for 1.2.3.4;', 'proxy_set_header', 'x-forwarded-for'],
    ['proxy_set_header $http_a b;', 'proxy_set_header', 'written out'],
    ['proxy_set_header "X\\r\\nHost" other;', 'proxy_set_header', 'line breaks'],
    ['proxy_set_header X "a\\r\\nHost: other";', 'proxy_set_header', 'line breaks'],
    ['proxy_set_header "Host " other;', 'proxy_set_header', 'letters'],
    ['proxy_set_header "Host: other\\tX" a;', 'proxy_set_header', 'letters'],
    ['add_header "" a;', 'add_header', 'letters'],
    ['add_header X "a\\nSet-Cookie: b";', 'add_header', 'line breaks'],
    ['return 302 "/\\r\\nSet-Cookie: a=b";', 'return', 'line breaks'],
    ['return "https://a.test/\\nSet-Cookie: a=b";', 'return', 'line breaks'],
    ['rewrite ^ HTTPS://example.com/b;', 'rewrite', 'break'],
    ['rewrite ^ /x;', 'rewrite', 'break'],
    ['rewrite ^ /x last;', 'rewrite', 'break'],
    ['rewrite "^/(?<paas_backend>.*)$" /$1 break;', 'rewrite', '$paas_backend'],
    ["if ($uri ~ (?'host'x)) { return 403; }", 'if', '$host'],
    ['if ($uri ~ (?P<target>x)) { return 403; }', 'if', '$target'],
    ['if (-f /etc/shadow) { return 403; }', 'if', 'files'],
    ['if (!-e $request_uri) { return 403; }', 'if', 'files'],
    ['if ($uri = a) { if ($uri = b) { return 403; } }', 'if', 'nest'],
    ['if ($uri = a) { proxy_pass http://b; }', 'proxy_pass', 'elsewhere'],
    ['set $upstream evil;', 'set', '$upstream'],
    ['set $host evil;', 'set', 'app_'],
    ['add_header X $document_root;', 'add_header', '$document_root'],
    ['add_header X "${realpath_root}";', 'add_header', '$realpath_root'],
    ['return 200 $nginx_version;', 'return', '$nginx_version'],
    ['error_page 404 @internal;', 'error_page', 'path of the app'],
    ['error_page 404 //other/x;', 'error_page', 'path of the app'],
    ['proxy_buffers 1000 1m;', 'proxy_buffers', 'memory'],
    ['client_body_buffer_size 1g;', 'client_body_buffer_size', 'memory'],
    ['proxy_request_buffering on;', 'proxy_request_buffering', "fill the router's disk"],
    ['proxy_request_buffering ON;', 'proxy_request_buffering', "fill the router's disk"],
    ['proxy_max_temp_file_size 1g;', 'proxy_max_temp_file_size', 'disk'],
    ['keepalive_timeout 75s 2h;', 'keepalive_timeout', 'at most 60 minutes'],
    ['client_body_timeout 59m61s;', 'client_body_timeout', 'at most 60 minutes'],
    ['proxy_read_timeout 1M;', 'proxy_read_timeout', 'at most 1440 minutes'],
    ['proxy_connect_timeout 2m;', 'proxy_connect_timeout', 'at most 1 minutes'],
    ['keepalive_timeout 99999999999999999999999999999999x;', 'keepalive_timeout', 'no time'],
    ['send_timeout soon;', 'send_timeout', 'no time'],
    ['frobnicate on;', 'frobnicate', 'not among'],
    ['constructor on;', 'constructor', 'not among'],
    ['expires;', 'expires', 'needs a value'],
    ['expires { }', 'expires', 'no block'],
    ['if ($uri = a);', 'if', 'needs a block'],
    ["content_by_lua_block { os.execute('id') }", 'content_by_lua_block', 'owner'],
    ["access_by_lua 'x';", 'access_by_lua', '_by_lua_block'],
    ['access_by_lua_file /tmp/x.lua;', 'access_by_lua_file', '_by_lua_block'],
    ['lua_code_cache off;', 'lua_code_cache', 'code'],
  ])('%s', (text, name, why) => {
    const found = problems(`etag on;\n\n${text}\n`);
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(/^3: /);
    expect(found[0]).toContain(name);
    expect(found[0]).toContain(why);
  });

  it('finds all of them, each at its line', () => {
    const text = 'listen 80;\n# comment\nsub_filter A "two\nlines";\nroot /;\nif ($a = b) {\n  include x;\n}\n';
    expect(checkSnippet(text, { allowLua: false }).map(({ line }) => line)).toEqual([1, 5, 6]);
  });

  it('takes Lua where an owner allows it, but no other way of writing it', () => {
    const lua = 'header_filter_by_lua_block {\n  local t = {a = "}"} -- }\n  --[[ } ]] ngx.header.x = [=[ }]] ]=]\n}\n';
    expect(problems(`${lua}listen 80;`, true)).toEqual([expect.stringContaining('5: `listen`')]);
    expect(problems("access_by_lua 'x';", true)).toHaveLength(1);
  });
});

describe('what would break out of the location', () => {
  it.each([
    ['etag on; } server { listen 81; etag on;', 1, 'closes nothing'],
    ['}', 1, 'closes nothing'],
    ['etag on;\n}\nlocation /x {', 2, 'closes nothing'],
    ['if ($uri = a) {\n return 403;', 1, 'never closed'],
    ['add_header A "b;\netag on;\n', 1, 'quote'],
    ["add_header A 'b;", 1, 'quote'],
    ['add_header A "b"c;', 1, 'closing quote'],
    ['etag on', 1, 'does not end'],
    ['etag on }', 1, 'does not end'],
    ['etag on\\;', 1, 'does not end'],
    ['etag on # ;', 1, 'does not end'],
    ['; etag on;', 1, 'without a directive'],
    ['{ etag on; }', 1, 'without a directive'],
    ['content_by_lua_block { x = "}" ', 1, 'Lua block'],
    ['content_by_lua_block { --[[ }', 1, 'Lua block'],
    ['etag on;\u0000 } server { }', 1, 'control character'],
    ['if (a) {'.repeat(40), 1, 'deeply'],
  ])('%j', (text, line, why) => {
    const found = checkSnippet(text, { allowLua: true });
    expect(found.length).toBeGreaterThan(0);
    const told = found.find(({ message }) => message.includes(why));
    expect(told, JSON.stringify(found)).toBeDefined();
    if (why !== 'deeply') expect(told!.line).toBe(line);
  });

  it('reads quotes, escapes and variables as nginx does', () => {
    expect(parseNginx('a b"c;d" "e\\"f" \'g}\' ${h}i "j\\tk" l\\;m;')).toEqual([
      { name: 'a', args: ['b"c'], line: 1 },
      { name: 'd"', args: ['e"f', 'g}', '${h}i', 'j\tk', 'l\\;m'], line: 1 },
    ]);
    expect(parseNginx('if ("$a" = b) { c; }')).toEqual([
      {
        name: 'if',
        args: ['("$a"', '=', 'b)'],
        line: 1,
        block: [{ name: 'c', args: [], line: 1 }],
      },
    ]);
  });

  it('refuses a snippet of absurd size', () => {
    expect(problems('etag on;\n'.repeat(10_000))).toEqual([expect.stringContaining('64 KiB')]);
  });

  it('never throws, and never takes what does not end by itself', () => {
    const piece = fc.constantFrom(
      'etag on;',
      '}',
      '{',
      '"',
      "'",
      '#',
      '\n',
      '\\',
      '$',
      '${',
      ';',
      ' ',
      'if ($uri = a)',
      '--[[',
    );
    fc.assert(
      fc.property(fc.array(fc.oneof(piece, fc.string()), { maxLength: 20 }), (pieces) => {
        const text = pieces.join('');
        if (checkSnippet(text, { allowLua: false }).length > 0) return;
        // Put into a location, what follows must still be its own: a closing brace closes exactly that.
        const [location, after] = parseNginx(`location / {\n${text}\n}\nafter on;`);
        expect(location).toMatchObject({ name: 'location' });
        expect(after).toMatchObject({ name: 'after', args: ['on'] });
      }),
      { numRuns: 2000 },
    );
  });
});
