// Command cfncheck: node cfncheck.js TEMPLATE... Prints one line a problem; exit 1 if there is any, 2 on bad usage.
import { readFileSync } from 'node:fs';
import { loadAwsServiceSpecSync } from '@aws-cdk/aws-service-spec';
import { parse } from './parse.js';
import { check } from './check.js';

const files = process.argv.slice(2);
if (files.length === 0) {
  console.error('usage: node cfncheck.js TEMPLATE...');
  process.exit(2);
}

const spec = loadAwsServiceSpecSync();
let found = 0;
for (const file of files) {
  const text = readFileSync(file, 'utf8');
  let problems;
  try {
    problems = check(parse(text), spec, Buffer.byteLength(text));
  } catch (err) {
    problems = [{ path: '', message: `cannot be read: ${err.message}` }];
  }
  for (const p of problems) console.log(`${file}: ${p.path}: ${p.message}`);
  if (problems.length === 0) console.log(`${file}: ok`);
  found += problems.length;
}
process.exit(found === 0 ? 0 : 1);
