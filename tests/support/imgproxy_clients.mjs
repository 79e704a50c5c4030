// Prints addresses that the URL builders of npm make, as JSON: [[client, address], …].
// node imgproxy_clients.mjs ENDPOINT KEY SALT SOURCE, in a folder with their packages.
import { generateImageUrl } from "@imgproxy/imgproxy-node";
import { Imgproxy } from "imgproxy";
import pb from "@bitpatty/imgproxy-url-builder";

const [endpoint, key, salt, source] = process.argv.slice(2);
const found = [];
for (const pair of [{ key, salt }, {}]) {
  const kind = pair.key ? "signed" : "unsigned";
  for (const plain of [false, true]) {
    found.push([
      `@imgproxy/imgproxy-node ${kind} ${plain ? "plain" : "base64"}`,
      generateImageUrl({
        endpoint,
        url: plain ? { value: source, type: "plain" } : source,
        options: { resizing_type: "fill", width: 60, height: 40, gravity: { type: "sm" }, enlarge: 1, format: "png" },
        ...pair,
      }),
    ]);
    found.push([
      `imgproxy ${kind} ${plain ? "plain" : "base64"}`,
      new Imgproxy({ baseUrl: endpoint, encode: !plain, ...pair })
        .builder()
        .resize("fill", 60, 40, 0)
        .gravity("no")
        .generateUrl(source, "png"),
    ]);
    found.push([
      `@bitpatty/imgproxy-url-builder ${kind} ${plain ? "plain" : "base64"}`,
      pb()
        .resize({ type: "fill", width: 60, height: 40 })
        .quality(80)
        .format("png")
        .build({ path: source, baseUrl: endpoint, plain, ...(pair.key ? { signature: pair } : {}) }),
    ]);
  }
}
console.log(JSON.stringify(found));
