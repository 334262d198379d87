// Reads a template's YAML as CloudFormation does: YAML 1.1 (an unquoted `no` or `OFF` is a boolean, which the checks
// then refuse where a string belongs), the short forms of the intrinsic functions, no anchors or aliases.
import { YAML11_SCHEMA, defineScalarTag, defineSequenceTag, load } from 'js-yaml';

const SCALAR = ['Ref', 'Condition', 'GetAtt', 'Sub', 'GetAZs', 'Base64', 'ImportValue'];
const SEQUENCE = ['GetAtt', 'Sub', 'Join', 'Select', 'Split', 'If', 'FindInMap', 'Equals', 'And', 'Or', 'Not', 'Cidr'];

const longName = (short) => (short === 'Ref' || short === 'Condition' ? short : `Fn::${short}`);

function scalarTag(short) {
  const build = (source) => {
    if (short !== 'GetAtt') return { [longName(short)]: source };
    const dot = source.indexOf('.'); // the resource's name has none, the attribute's may
    if (dot < 1) throw new Error(`!GetAtt ${source}: want Resource.Attribute`);
    return { 'Fn::GetAtt': [source.slice(0, dot), source.slice(dot + 1)] };
  };
  return defineScalarTag(`!${short}`, { resolve: build, identify: () => false });
}

function sequenceTag(short) {
  return defineSequenceTag(`!${short}`, {
    create: () => [],
    addItem: (list, item) => { list.push(item); },
    finalize: (list) => ({ [longName(short)]: list }),
    identify: () => false,
  });
}

const SCHEMA = YAML11_SCHEMA.withTags(SCALAR.map(scalarTag), SEQUENCE.map(sequenceTag));

/** The template as an object, intrinsic functions in their long form. Throws on what is not YAML, and on aliases. */
export function parse(text) {
  const template = load(text, { schema: SCHEMA });
  refuseAliases(template, '', new Set());
  return template;
}

function refuseAliases(value, path, seen) {
  if (value === null || typeof value !== 'object') return;
  if (seen.has(value)) throw new Error(`${path}: an alias, which CloudFormation refuses`);
  seen.add(value);
  for (const [key, child] of Object.entries(value)) refuseAliases(child, `${path}/${key}`, seen);
}
