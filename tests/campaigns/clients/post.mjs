// Sends the requests of its input: method, path and the file of the body, "-" for none.
import http from "node:http";
import { readFileSync } from "node:fs";

const base = process.env.BASE;
const tokens = { "Client-Token": process.env.CLIENT_TOKEN };

async function byFetch(method, path, headers, body) {
  const answer = await fetch(base + path, { method, headers, body });
  return `${answer.status} ${await answer.text()}`;
}

function byHttp(method, path, headers, body) {
  return new Promise((resolve, reject) => {
    const request = http.request(base + path, { method, headers }, async (answer) => {
      const pieces = await answer.toArray();
      resolve(`${answer.statusCode} ${Buffer.concat(pieces)}`);
    });
    request.on("error", reject);
    request.end(body); // without a length this is sent in chunks
  });
}

const send = process.argv[2] === "fetch" ? byFetch : byHttp;
for (const line of readFileSync(0, "utf8").trim().split("\n")) {
  const [method, path, file] = line.split(" ");
  const body = file === "-" ? undefined : readFileSync(file);
  const headers = body ? { ...tokens, "Content-Type": "application/json" } : tokens;
  console.log(await send(method, path, headers, body));
}
