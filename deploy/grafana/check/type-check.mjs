// Holds rootwatch.json against Grafana's own types, of the newest version and of the oldest that it is for, and the
// page of draw.mjs against the types of the components that it uses.
import {execFileSync} from 'node:child_process';
import {cpSync, mkdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {fileURLToPath} from 'node:url';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const TSC = createRequire(import.meta.url).resolve('typescript/lib/tsc.js');
const OPTIONS = ['--noEmit', '--strict', '--skipLibCheck', '--target', 'es2022', '--module', 'esnext', '--moduleResolution', 'bundler'];

let failed = 0;
for (const grafana of ['@grafana/schema', 'grafana-schema-11']) {
  const {version} = JSON.parse(readFileSync(`${HERE}node_modules/${grafana}/package.json`, 'utf8'));
  const work = `${HERE}build/${version}`;
  rmSync(work, {recursive: true, force: true});
  mkdirSync(work, {recursive: true});
  cpSync(`${HERE}types/refused.ts`, `${work}/refused.ts`);
  writeFileSync(`${work}/shape.ts`, readFileSync(`${HERE}types/shape.ts`, 'utf8').replaceAll('GRAFANA', grafana));
  const json = readFileSync(`${HERE}../rootwatch.json`, 'utf8');
  writeFileSync(`${work}/rootwatch.ts`, `import type {Dashboard} from './shape';\nexport const rootwatch: Dashboard = ${json};\n`);
  check(`the dashboard against @grafana/schema ${version}`, [...OPTIONS, `${work}/rootwatch.ts`, `${work}/refused.ts`]);
}
check('the drawing page against @grafana/ui', ['--project', HERE]);
process.exit(failed ? 1 : 0);

function check(what, args) {
  try {
    execFileSync(process.execPath, [TSC, ...args], {stdio: 'inherit', cwd: HERE});
    console.log(`types hold: ${what}`);
  } catch {
    failed++;
    console.error(`FAILED ${what}`);
  }
}
