// sharp in a process of its own; the protocol is that of engine_worker.py. SHARP names the folder of node_modules.
import { createInterface } from "node:readline";
import { createRequire } from "node:module";
import { readFile, writeFile } from "node:fs/promises";

const sharp = createRequire(`${process.env.SHARP}/`)("sharp");
sharp.cache(false);
sharp.concurrency(Number(process.env.THREADS || 1));

const settings = {
  jpeg: (quality) => ["jpeg", { quality }],
  webp: (quality) => ["webp", { quality }],
  avif: (quality) => ["avif", { quality }],
};

async function one(data, output) {
  const animated = data.subarray(0, 3).toString() === "GIF";
  const [method, options] = settings[output.format](output.quality);
  const picture = sharp(data, { animated })
    .rotate()
    .resize(output.width, output.height || null);
  if (output.logo) {
    let input = await readFile(output.logo);
    if (output.logo_side !== 80) input = await sharp(input).resize(80).png().toBuffer();
    picture.composite([{ input, left: output.width - 90, top: output.height - 90 }]);
  }
  return picture[method](options).toBuffer();
}

for await (const line of createInterface({ input: process.stdin })) {
  const task = JSON.parse(line);
  const data = await readFile(task.source);
  const cpu = process.cpuUsage();
  const start = process.hrtime.bigint();
  const results = [];
  for (const output of task.outputs) results.push(await one(data, output));
  const used = process.cpuUsage(cpu);
  const answer = {
    cpu: (used.user + used.system) / 1e6,
    wall: Number(process.hrtime.bigint() - start) / 1e9,
    bytes: results.map((result) => result.length),
  };
  if (task.save) await Promise.all(results.map((result, number) => writeFile(`${task.save}.${number}`, result)));
  console.log(JSON.stringify(answer));
}
