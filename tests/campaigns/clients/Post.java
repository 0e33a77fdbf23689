import java.io.*;
import java.net.*;
import java.net.http.*;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.*;

/** Sends the requests of its input: method, path and the file of the body, "-" for none. */
class Post {
    static final String BASE = System.getenv("BASE"), TOKEN = System.getenv("CLIENT_TOKEN");

    public static void main(String[] arguments) throws Exception {
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in));
        PrintStream output = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        HttpClient client = HttpClient.newHttpClient(); // offers h2c with each request
        for (String line; (line = input.readLine()) != null; ) {
            String[] words = line.split(" ");
            byte[] body = words[2].equals("-") ? null : Files.readAllBytes(Path.of(words[2]));
            output.println(arguments[0].equals("url")
                ? byConnection(words[0], words[1], body)
                : byClient(client, words[0], words[1], body));
        }
    }

    static String byClient(HttpClient client, String method, String path, byte[] body) throws Exception {
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(BASE + path))
            .header("Client-Token", TOKEN)
            .method(method, body == null ? BodyPublishers.noBody() : BodyPublishers.ofByteArray(body));
        if (body != null) request.header("Content-Type", "application/json");
        HttpResponse<String> answer = client.send(request.build(), BodyHandlers.ofString());
        return answer.statusCode() + " " + answer.body();
    }

    static String byConnection(String method, String path, byte[] body) throws Exception {
        HttpURLConnection connection = (HttpURLConnection) new URL(BASE + path).openConnection();
        connection.setRequestMethod(method);
        connection.setRequestProperty("Client-Token", TOKEN);
        if (body != null) {
            connection.setRequestProperty("Content-Type", "application/json");
            connection.setDoOutput(true);
            connection.getOutputStream().write(body);
        }
        int status = connection.getResponseCode();
        InputStream answer = status < 400 ? connection.getInputStream() : connection.getErrorStream();
        return status + " " + new String(answer.readAllBytes(), StandardCharsets.UTF_8);
    }
}
