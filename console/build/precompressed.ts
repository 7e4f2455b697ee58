/** Writes a .br and a .gz beside each text file of the bundle; the server sends what the browser takes. */

import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import type { Plugin } from "vite";

const TEXT = /\.(?:js|css|html|svg|json)$/;
/** Below this a packet is saved at best. */
const LEAST_BYTES = 1024;

export function precompressed(): Plugin {
  let directory = "";
  return {
    name: "precompressed",
    apply: "build",
    configResolved: (config) => {
      directory = config.build.outDir;
    },
    writeBundle: () => {
      for (const name of readdirSync(directory, { recursive: true, encoding: "utf8" })) {
        const path = join(directory, name);
        if (TEXT.test(name) && statSync(path).size >= LEAST_BYTES) compress(path);
      }
    },
  };
}

function compress(path: string) {
  const whole = readFileSync(path);
  const best = { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } };
  writeFileSync(`${path}.br`, brotliCompressSync(whole, best));
  writeFileSync(`${path}.gz`, gzipSync(whole, { level: 9 }));
}
