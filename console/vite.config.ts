import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";
import { precompressed } from "./build/precompressed.ts";

// Beside the server's Python code, which serves it; git does not keep it.
const BUILT = "../src/trilens/present/ui";
const SERVER = "http://127.0.0.1:4280";

export default defineConfig({
  plugins: [react(), precompressed()],
  resolve: { alias: { "~": new URL("./src", import.meta.url).pathname } },
  build: {
    outDir: BUILT,
    emptyOutDir: true,
    target: "es2022",
    sourcemap: false,
    rolldownOptions: {
      output: {
        codeSplitting: {
          groups: [
            { name: "react", test: /node_modules\/(?:react|react-dom|scheduler|@tanstack)\//, priority: 2 },
            { name: "mantine", test: /node_modules\/(?:@mantine|@floating-ui|clsx)\// },
            { name: "codemirror", test: /node_modules\/(?:@codemirror|@lezer|@prometheus-io|@marijn|lru-cache|style-mod|crelt|w3c-keyname)\// },
          ],
        },
      },
    },
  },
  server: { proxy: { "/api": SERVER, "/-": SERVER } },
  test: { include: ["tests/**/*.test.ts"] },
});
