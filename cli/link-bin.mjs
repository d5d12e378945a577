// After a build in a checkout: makes `npx dats` find the command. A `bin` in package.json would not: npx then tries to install the checkout into its cache.
import { chmodSync, mkdirSync, rmSync, symlinkSync } from 'node:fs';

const target = new URL('../dist/cli/main.js', import.meta.url);
const link = new URL('../node_modules/.bin/dats', import.meta.url);
try {
  chmodSync(target, 0o755);
  mkdirSync(new URL('.', link), { recursive: true });
  rmSync(link, { force: true });
  symlinkSync('../../dist/cli/main.js', link);
} catch (error) {
  console.warn(`npx dats will not work here (${error.code ?? error.message}); use: npm run --silent dats --`);
}
