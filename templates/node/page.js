const escapes = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
const escape = (text) => String(text).replace(/[&<>"]/g, (character) => escapes[character]);

/** The page this app shows: who answered, in which release, on which instance. */
export function page(env) {
  const rows = [
    ['Release', env.PAAS_RELEASE ?? 'not on the platform'],
    ['Instance', env.PAAS_INSTANCE ?? 'local'],
    ['Environment', env.PAAS_ENVIRONMENT ?? 'local'],
    ['Node', process.version],
  ];
  const name = escape(env.PAAS_APP_NAME ?? '{{name}}');
  const list = rows.map(([term, value]) => `<dt>${term}</dt><dd>${escape(value)}</dd>`).join('');
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${name}</title>
<style>
  body { font: 1.1rem/1.5 system-ui, sans-serif; margin: 15vh auto; max-width: 32rem; padding: 0 1rem; color: #1d2733 }
  h1 { font-size: 2.2rem; margin: 0 } p { color: #5b6b7c }
  dl { display: grid; grid-template-columns: 8rem 1fr; row-gap: .3rem } dt { color: #5b6b7c } dd { margin: 0 }
</style>
<h1>${name}</h1>
<p>It is live. Change <code>page.js</code> and run <code>paas push</code> again.</p>
<dl>${list}</dl>
</html>
`;
}
