// The checks of one template: its sections, parameters and resources. What refers to what is in references.js, what a
// property may hold in properties.js.
import { References } from './references.js';
import { PropertyChecks } from './properties.js';

const SECTIONS = ['AWSTemplateFormatVersion', 'Description', 'Metadata', 'Parameters', 'Mappings', 'Conditions', 'Rules',
  'Resources', 'Outputs'];
const RESOURCE_KEYS = ['Type', 'Properties', 'Condition', 'DependsOn', 'DeletionPolicy', 'UpdateReplacePolicy', 'Metadata',
  'CreationPolicy', 'UpdatePolicy'];
const PARAMETER_KEYS = ['Type', 'Description', 'Default', 'AllowedValues', 'AllowedPattern', 'ConstraintDescription',
  'MinValue', 'MaxValue', 'MinLength', 'MaxLength', 'NoEcho'];
const POLICIES = {
  DeletionPolicy: ['Delete', 'Retain', 'RetainExceptOnCreate', 'Snapshot'],
  UpdateReplacePolicy: ['Delete', 'Retain', 'Snapshot'],
};
const PARAMETER_TYPE = /^(String|Number|CommaDelimitedList|List<Number>|AWS::[A-Za-z0-9:]+|List<AWS::[A-Za-z0-9:]+>|AWS::SSM::Parameter::Value<.+>)$/;
const BODY_LIMIT = 51200; // bytes of --template-body; more has to go through S3

/**
 * All problems of a parsed template, each with the path of where it is: an empty list means that none was found.
 * spec is the database of @aws-cdk/aws-service-spec; size is the length of the template's text in bytes.
 */
export function check(template, spec, size = 0) {
  const problems = [];
  const report = (path, message) => problems.push({ path, message });
  if (template === null || typeof template !== 'object') return [{ path: '', message: 'not a mapping' }];

  if (size > BODY_LIMIT) report('', `${size} bytes: more than the ${BODY_LIMIT} of --template-body`);
  unknownKeys(template, SECTIONS, '', 'section', report);
  if (template.AWSTemplateFormatVersion !== '2010-09-09') report('AWSTemplateFormatVersion', 'want "2010-09-09"');
  if (typeof template.Description !== 'string' || template.Description.length > 1024) {
    report('Description', 'want a text of at most 1,024 bytes');
  }
  if (Object.keys(template.Resources ?? {}).length === 0) report('Resources', 'there are none');

  for (const [name, parameter] of Object.entries(template.Parameters ?? {})) checkParameter(name, parameter, report);
  checkInterface(template, report);
  const properties = new PropertyChecks(template, spec, report);
  for (const [name, resource] of Object.entries(template.Resources ?? {})) {
    checkResource(name, resource, spec, properties, report);
  }
  for (const [name, output] of Object.entries(template.Outputs ?? {})) {
    unknownKeys(output, ['Description', 'Value', 'Export', 'Condition'], `Outputs/${name}`, 'key', report);
    if (output.Value === undefined) report(`Outputs/${name}`, 'Value is required');
    if (!output.Description) report(`Outputs/${name}`, 'Description is missing');
  }
  new References(template, spec, report).run();
  return problems;
}

function unknownKeys(object, known, path, what, report) {
  for (const key of Object.keys(object ?? {})) {
    if (!known.includes(key)) report(path, `unknown ${what} ${key}`);
  }
}

function checkParameter(name, parameter, report) {
  const path = `Parameters/${name}`;
  unknownKeys(parameter, PARAMETER_KEYS, path, 'key', report);
  if (!PARAMETER_TYPE.test(parameter.Type ?? '')) report(path, `unknown type ${parameter.Type}`);
  if (!parameter.Description) report(path, 'Description is missing');
  if (parameter.AllowedPattern && !parameter.ConstraintDescription) {
    report(path, 'AllowedPattern without ConstraintDescription: the error would show the pattern alone');
  }
  for (const value of parameter.AllowedValues ?? []) {
    if (parameter.Type === 'String' && typeof value !== 'string') report(path, `AllowedValues: ${value} is not a string (quote it)`);
  }
  if (parameter.Default !== undefined) checkDefault(parameter, path, report);
}

function checkDefault(parameter, path, report) {
  const value = parameter.Default;
  const isNumber = parameter.Type === 'Number';
  if (isNumber ? typeof value !== 'number' : typeof value !== 'string') {
    return report(path, `Default ${JSON.stringify(value)} is not a ${isNumber ? 'number' : 'string'}`);
  }
  if (parameter.AllowedValues && !parameter.AllowedValues.includes(value)) report(path, `Default ${value} is not an allowed value`);
  if (parameter.AllowedPattern && !new RegExp(parameter.AllowedPattern).test(value)) report(path, `Default ${value} does not match AllowedPattern`);
  if (value < parameter.MinValue || value > parameter.MaxValue) report(path, `Default ${value} is out of range`);
}

// The console shows parameters by these groups; one that is in none is easily overlooked.
function checkInterface(template, report) {
  const path = 'Metadata/AWS::CloudFormation::Interface';
  const groups = template.Metadata?.['AWS::CloudFormation::Interface']?.ParameterGroups;
  if (groups === undefined) return;
  const grouped = groups.flatMap((group) => group.Parameters ?? []);
  const parameters = Object.keys(template.Parameters ?? {});
  for (const name of grouped) if (!parameters.includes(name)) report(path, `no such parameter ${name}`);
  for (const name of parameters) {
    const times = grouped.filter((other) => other === name).length;
    if (times !== 1) report(path, `parameter ${name} is in ${times} groups`);
  }
}

function checkResource(name, resource, spec, properties, report) {
  const path = `Resources/${name}`;
  if (!/^[A-Za-z0-9]{1,255}$/.test(name)) report(path, 'a logical id has letters and digits only');
  unknownKeys(resource, RESOURCE_KEYS, path, 'key', report);
  for (const [key, allowed] of Object.entries(POLICIES)) {
    if (resource[key] !== undefined && !allowed.includes(resource[key])) report(path, `${key} ${resource[key]}: want one of ${allowed.join(', ')}`);
  }
  const type = spec.lookup('resource', 'cloudFormationType', 'equals', resource.Type ?? '')[0];
  if (type === undefined) return report(path, `unknown resource type ${resource.Type}`);
  if (type.isStateful) {
    for (const key of Object.keys(POLICIES)) {
      if (resource[key] === undefined) report(path, `${resource.Type} keeps data: say its ${key}`);
    }
  }
  properties.object(resource.Properties ?? {}, type.properties, `${path}/Properties`);
}
