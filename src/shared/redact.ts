/** Keeps secrets out of logs, events, errors and JSON. */

export const redacted = '[redacted]';

/** Shorter values occur by chance in any text; cutting them out would garble it and thereby tell what they are. */
const shortestSecret = 4;

/**
 * `text` without any of `secrets`, also where they stand percent-encoded, in base64 or escaped as in JSON, and each line of a
 * secret of several lines (a PEM key is printed line by line). Secrets under 4 characters are left alone.
 */
export function redact(text: string, secrets: Iterable<string>): string {
  const needles = new Set<string>();
  for (const secret of secrets) {
    for (const form of [secret, ...secret.split(/\r?\n/)]) {
      if (form.trim().length < shortestSecret) continue;
      needles.add(form);
      needles.add(JSON.stringify(form).slice(1, -1));
      const bytes = Buffer.from(form);
      needles.add(encodeURIComponent(bytes.toString()));
      needles.add(bytes.toString('base64').replace(/=+$/, ''));
    }
  }
  // The longest first: a secret that contains another one must not leave its rest behind.
  const longestFirst = [...needles].sort((a, b) => b.length - a.length);
  return longestFirst.reduce((rest, needle) => rest.replaceAll(needle, redacted), text);
}

/**
 * `text` with the credentials of every URL in it replaced: `https://user:pass@host/` becomes `https://[redacted]@host/`, and
 * query parameters with secret names lose their values. A user name alone (`ssh://git@host`) stays: it is no secret.
 * A token alone before the @ (`https://ghp_x@github.com`) goes, since http has no use for a bare user name.
 */
export function redactUrl(text: string): string {
  return text
    .replace(/\b([a-z][a-z0-9+.-]{0,30}:\/\/)([^\s/?#"'<>]*)@/gi, (whole: string, scheme: string, user: string) =>
      user.includes(':') || /^https?:/i.test(scheme) ? `${scheme}${redacted}@` : whole,
    )
    .replace(/([?&;])([^=&#;\s"'<>]{1,100})=([^&#;\s"'<>]*)/g, (whole: string, mark: string, name: string) =>
      isSecretName(name) ? `${mark}${name}=${redacted}` : whole,
    );
}

const secretWords = new Set(
  (
    'password passwd passphrase pass pwd secret secrets token tokens credential credentials auth authorization apikey ' +
    'key cookie session salt signature sig dsn pin otp jwt bearer private passcode pat'
  ).split(' '),
);
const secretEnd =
  /(?:password|passwd|passphrase|secret|token|credentials?|apikey|accesskey|secretkey|privatekey|signingkey)s?$/;
/** Addresses of services commonly carry their password. */
const secretNames =
  /^(?:database|db|redis|mongo(?:db)?|amqp|rabbitmq|cloudamqp|postgres(?:ql)?|mysql|smtp|sentry|jdbc|cache|broker)(?:_.*)?_(?:url|uri|dsn)$/;

/** Whether the value of a config key, header or parameter of this name is likely a secret: `DB_PASSWORD`, `apiKey`, `DATABASE_URL`. */
export function isSecretName(key: string): boolean {
  const words = key
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .filter((word) => word !== '');
  if (words.some((word) => secretEnd.test(word))) return true;
  if (secretNames.test(words.join('_'))) return true;
  const isPublic = words.includes('public') || words.includes('pub');
  return !isPublic && words.some((word) => secretWords.has(word));
}
