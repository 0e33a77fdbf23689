<?php
// Sends the requests of its input: method, path and the file of the body, "-" for none.
$way = $argv[1];
while (($line = fgets(STDIN)) !== false) {
    [$method, $path, $file] = explode(' ', trim($line));
    $body = $file === '-' ? null : file_get_contents($file);
    $headers = ['Client-Token: ' . getenv('CLIENT_TOKEN')];
    if ($body !== null) {
        $headers[] = 'Content-Type: application/json';
    }
    $send = $way === 'curl' ? 'by_curl' : 'by_stream';
    echo $send($method, getenv('BASE') . $path, $headers, $body), "\n";
}

function by_stream(string $method, string $url, array $headers, ?string $body): string
{
    $http = ['method' => $method, 'header' => $headers, 'ignore_errors' => true];
    if ($body !== null) {
        $http['content'] = $body;
    }
    $answer = file_get_contents($url, false, stream_context_create(['http' => $http]));
    return explode(' ', $http_response_header[0])[1] . ' ' . $answer;
}

function by_curl(string $method, string $url, array $headers, ?string $body): string
{
    $curl = curl_init($url);
    curl_setopt_array($curl, [
        CURLOPT_CUSTOMREQUEST => $method,
        CURLOPT_HTTPHEADER => $headers,
        CURLOPT_RETURNTRANSFER => true,
    ]);
    if ($body !== null) {
        curl_setopt($curl, CURLOPT_POSTFIELDS, $body);
    }
    $answer = curl_exec($curl);
    return curl_getinfo($curl, CURLINFO_RESPONSE_CODE) . ' ' . $answer;
}
