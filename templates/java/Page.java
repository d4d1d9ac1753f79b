import java.util.Map;

/** The page this app shows: who answered, in which release, on which instance. */
final class Page {
    private Page() {}

    static String render(Map<String, String> env) {
        String name = escape(env.getOrDefault("PAAS_APP_NAME", "app"));
        String rows = row("Release", env.getOrDefault("PAAS_RELEASE", "not on the platform"))
            + row("Instance", env.getOrDefault("PAAS_INSTANCE", "local"))
            + row("Environment", env.getOrDefault("PAAS_ENVIRONMENT", "local"))
            + row("Java", System.getProperty("java.version"));
        return TEMPLATE.replace("@NAME@", name).replace("@ROWS@", rows);
    }

    private static String row(String term, String value) {
        return "<dt>" + term + "</dt><dd>" + escape(value) + "</dd>";
    }

    private static String escape(String text) {
        return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\"", "&quot;");
    }

    private static final String TEMPLATE = """
        <!doctype html>
        <html lang="en">
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width">
        <title>@NAME@</title>
        <style>
          body { font: 1.1rem/1.5 system-ui, sans-serif; margin: 15vh auto; max-width: 32rem; padding: 0 1rem; color: #1d2733 }
          h1 { font-size: 2.2rem; margin: 0 } p { color: #5b6b7c }
          dl { display: grid; grid-template-columns: 8rem 1fr; row-gap: .3rem } dt { color: #5b6b7c } dd { margin: 0 }
        </style>
        <h1>@NAME@</h1>
        <p>It is live. Change <code>Page.java</code> and run <code>paas push</code> again.</p>
        <dl>@ROWS@</dl>
        </html>
        """;
}
