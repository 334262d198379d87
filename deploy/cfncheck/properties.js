// What a property may hold: names, required ones, primitive types and enumerations, by the resource specification.
import { PSEUDO, RESULTS, functionOf, isNoValue } from './intrinsics.js';

const SCALARS = { string: 'string', 'date-time': 'string', boolean: 'boolean', integer: 'number', number: 'number' };

export class PropertyChecks {
  constructor(template, spec, report) {
    Object.assign(this, { template, spec, report });
  }

  /** Checks an object against a set of properties: a resource's own, or a nested type's. */
  object(value, properties, path) {
    for (const [key, child] of Object.entries(value)) {
      const property = properties[key];
      if (property === undefined) this.report(`${path}/${key}`, 'unknown property');
      else if (['WARN', 'IGNORE'].includes(property.deprecated)) this.report(`${path}/${key}`, 'deprecated property');
      else this.value(child, [property.type, ...(property.previousTypes ?? [])], `${path}/${key}`);
    }
    for (const [key, property] of Object.entries(properties)) {
      if (property.required && mayBeAbsent(value[key])) this.report(path, `${key} is required`);
    }
  }

  // value passes if it fits one of the types; what is reported is how it misses the first.
  value(value, types, path) {
    const misses = types.map((type) => this.tried(value, type, path));
    if (misses.some((list) => list.length === 0)) return;
    for (const miss of misses[0]) this.report(miss.path, miss.message);
  }

  tried(value, type, path) {
    const misses = [];
    new PropertyChecks(this.template, this.spec, (at, message) => misses.push({ path: at, message })).one(value, type, path);
    return misses;
  }

  one(value, type, path) {
    if (isNoValue(value)) return;
    const name = functionOf(value);
    if (name === 'Fn::If') {
      for (const branch of value[name].slice?.(1) ?? []) this.one(branch, type, path);
    } else if (name !== undefined) {
      this.call(name, value[name], type, path);
    } else if (type.type === 'union') {
      this.value(value, type.types, path);
    } else if (type.type in SCALARS) {
      this.scalar(value, type, path);
    } else {
      this.compound(value, type, path);
    }
  }

  scalar(value, type, path) {
    if (typeof value !== SCALARS[type.type]) return this.report(path, `want a ${type.type}, got ${JSON.stringify(value)}`);
    if (type.type === 'integer' && !Number.isInteger(value)) return this.report(path, `want an integer, got ${value}`);
    if (type.allowedValues && !type.allowedValues.includes(value)) {
      return this.report(path, `${value}: want one of ${type.allowedValues.join(', ')}`);
    }
    return undefined;
  }

  compound(value, type, path) {
    const isObject = value !== null && typeof value === 'object' && !Array.isArray(value);
    if (type.type === 'array') {
      if (!Array.isArray(value)) return this.report(path, `want a list, got ${JSON.stringify(value)}`);
      return value.forEach((item, i) => this.one(item, type.element, `${path}/${i}`));
    }
    if (type.type === 'json') {
      return value === null || typeof value !== 'object' ? this.report(path, `want JSON, got ${JSON.stringify(value)}`) : undefined;
    }
    if (!isObject) return this.report(path, `want an object, got ${JSON.stringify(value)}`);
    if (type.type === 'map') return Object.entries(value).forEach(([key, item]) => this.one(item, type.element, `${path}/${key}`));
    if (type.type === 'tag') return this.object(value, { Key: required('string'), Value: required('string') }, path);
    if (type.type === 'ref') return this.object(value, this.spec.get('typeDefinition', type.reference).properties, path);
    throw new Error(`${path}: the specification has a type that cfncheck does not know: ${type.type}`);
  }

  // call checks what a function gives: values it may have where they are known, else its kind.
  call(name, arg, type, path) {
    const { kind, values } = this.result(name, arg);
    if (kind === 'any' || type.type === 'json') return undefined;
    if (type.type === 'union') {
      const fits = type.types.some((member) => this.tried({ [name]: arg }, member, path).length === 0);
      return fits ? undefined : this.report(path, `${name} gives a ${kind}, which does not fit`);
    }
    if (type.type === 'array') return kind === 'list' ? undefined : this.report(path, `want a list, ${name} gives a ${kind}`);
    if (!(type.type in SCALARS)) return this.report(path, `want an object, ${name} gives a ${kind}`);
    if (kind === 'list') return this.report(path, `want a ${type.type}, ${name} gives a list`);
    return this.allowed(values, kind, type, path, name);
  }

  allowed(values, kind, type, path, name) {
    if (type.allowedValues && kind !== 'attribute') {
      if (values === undefined) return this.report(path, `want one of ${type.allowedValues.join(', ')}, but ${name} may give anything`);
      const bad = values.filter((value) => !type.allowedValues.map(String).includes(String(value)));
      if (bad.length > 0) return this.report(path, `${bad.join(', ')}: want one of ${type.allowedValues.join(', ')}`);
    }
    if (SCALARS[type.type] === 'number' && kind === 'string') {
      if (values?.every((value) => /^-?[0-9.]+$/.test(String(value)))) return undefined;
      return this.report(path, `want a ${type.type}, ${name} gives a string`);
    }
    if (type.type === 'boolean' && !values?.every((value) => ['true', 'false'].includes(String(value)))) {
      return this.report(path, `want a boolean, ${name} may give something else`);
    }
    return undefined;
  }

  // result is what a function gives: its kind, and its possible values where they are a closed list.
  result(name, arg) {
    if (name === 'Ref') return this.reference(arg);
    if (name === 'Fn::GetAtt') return this.attribute(arg);
    if (name === 'Fn::FindInMap' && Array.isArray(arg) && typeof arg[2] === 'string') {
      const values = Object.values(this.template.Mappings?.[arg[0]] ?? {}).map((second) => second[arg[2]]);
      if (values.some(Array.isArray)) return { kind: 'list' };
      return { kind: values.every((value) => typeof value === 'number') ? 'number' : 'string', values };
    }
    return { kind: RESULTS[name] ?? 'any' };
  }

  reference(name) {
    const parameter = this.template.Parameters?.[name];
    if (parameter === undefined) return { kind: PSEUDO[name] ?? 'string' };
    if (parameter.Type === 'CommaDelimitedList' || parameter.Type?.startsWith('List<')) return { kind: 'list' };
    return { kind: parameter.Type === 'Number' ? 'number' : 'string', values: parameter.AllowedValues };
  }

  attribute(arg) {
    const type = this.template.Resources?.[arg?.[0]]?.Type ?? '';
    const attribute = this.spec.lookup('resource', 'cloudFormationType', 'equals', type)[0]?.attributes[arg?.[1]];
    return { kind: attribute?.type.type === 'array' ? 'list' : 'attribute' };
  }
}

const required = (type) => ({ type: { type }, required: true });

// mayBeAbsent: not there, !Ref AWS::NoValue, or an Fn::If of which a branch is.
function mayBeAbsent(value) {
  if (value === undefined || value === null || isNoValue(value)) return true;
  return functionOf(value) === 'Fn::If' && (value['Fn::If'].slice?.(1) ?? []).some(mayBeAbsent);
}
