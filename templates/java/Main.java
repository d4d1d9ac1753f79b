import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;

/** A web app with nothing but the JDK. */
public class Main {
    public static void main(String[] args) throws IOException {
        Map<String, String> env = System.getenv();
        int port = Integer.parseInt(env.getOrDefault("PORT", "3000"));
        HttpServer server = HttpServer.create(new InetSocketAddress(port), 128);
        ExecutorService workers = Executors.newFixedThreadPool(16);
        server.setExecutor(workers);
        server.createContext("/", exchange -> answer(exchange, env));
        server.start();
        System.out.println("listening on port " + port);

        // The platform asks an instance to stop by SIGTERM: finish what is under way, take nothing new.
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            System.out.println("stopping");
            server.stop(1);
            workers.shutdown();
            try {
                workers.awaitTermination(5, TimeUnit.SECONDS);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }));
    }

    private static void answer(HttpExchange exchange, Map<String, String> env) throws IOException {
        long started = System.nanoTime();
        String path = exchange.getRequestURI().getPath();
        int status = 200;
        String type = "text/plain";
        String body;
        if (path.equals("/healthz")) {
            body = "ok\n";
        } else if (path.equals("/")) {
            type = "text/html; charset=utf-8";
            body = Page.render(env);
        } else {
            status = 404;
            body = "Not found\n";
        }
        byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
        boolean head = exchange.getRequestMethod().equals("HEAD");
        exchange.getResponseHeaders().set("Content-Type", type);
        exchange.sendResponseHeaders(status, head ? -1 : bytes.length);
        if (!head) {
            exchange.getResponseBody().write(bytes);
        }
        exchange.close();
        long ms = (System.nanoTime() - started) / 1_000_000;
        System.out.println(exchange.getRequestMethod() + " " + path + " " + status + " " + ms + "ms");
    }
}
