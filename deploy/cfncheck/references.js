// Who refers to whom: every Ref, Fn::GetAtt, Fn::Sub and Fn::FindInMap finds its target, a resource that has a condition is
// referred to only where that condition holds, nothing goes in a circle, and nothing is there that nobody uses.
import { LOGIC, PSEUDO, RESULTS, functionOf, substitutions } from './intrinsics.js';

export class References {
  constructor(template, spec, report) {
    Object.assign(this, { template, spec, report });
    this.parameters = template.Parameters ?? {};
    this.resources = template.Resources ?? {};
    this.conditions = template.Conditions ?? {};
    this.mappings = template.Mappings ?? {};
    this.used = new Set(); // "Parameters/Name", "Conditions/Name", "Mappings/Name"
    this.edges = new Map(); // resource → the resources that must be there before it
  }

  run() {
    for (const [name, condition] of Object.entries(this.conditions)) this.logic(condition, `Conditions/${name}`);
    for (const [name, rule] of Object.entries(this.template.Rules ?? {})) {
      if (rule.RuleCondition !== undefined) this.logic(rule.RuleCondition, `Rules/${name}/RuleCondition`);
      for (const assertion of rule.Assertions ?? []) this.logic(assertion.Assert, `Rules/${name}/Assert`);
    }
    for (const [name, resource] of Object.entries(this.resources)) this.resource(name, resource);
    for (const [name, output] of Object.entries(this.template.Outputs ?? {})) {
      this.walk(output.Value, { path: `Outputs/${name}/Value`, holds: this.held(output.Condition, `Outputs/${name}`) });
    }
    this.unused();
    this.circles();
  }

  resource(name, resource) {
    const path = `Resources/${name}`;
    this.edges.set(name, new Set());
    const at = { path: `${path}/Properties`, holds: this.held(resource.Condition, path), owner: name };
    this.walk(resource.Properties ?? {}, at);
    for (const other of [resource.DependsOn ?? []].flat()) {
      if (this.resources[other] === undefined) this.report(path, `DependsOn ${other}: no such resource`);
      else this.edges.get(name).add(other);
    }
  }

  // held is the set of conditions that hold wherever something with this Condition is made.
  held(condition, path) {
    if (condition === undefined) return new Set();
    this.condition(condition, path);
    return new Set([condition]);
  }

  condition(name, path) {
    if (this.conditions[name] === undefined) this.report(path, `no such condition ${name}`);
    this.used.add(`Conditions/${name}`);
  }

  // logic walks a condition's expression, where {Condition: name} is a function and not a policy's element.
  logic(value, path) {
    const keys = value !== null && typeof value === 'object' && !Array.isArray(value) ? Object.keys(value) : [];
    const name = keys.length === 1 ? keys[0] : undefined;
    if (!(name in LOGIC)) return this.report(path, `not an expression of a condition: ${JSON.stringify(value)}`);
    if (name === 'Condition') return this.condition(value.Condition, path);
    const args = value[name];
    const [least, most] = LOGIC[name];
    if (!Array.isArray(args) || args.length < least || args.length > most) {
      return this.report(path, `${name} takes ${least === most ? least : `${least} to ${most}`} arguments`);
    }
    if (name === 'Fn::Equals') return args.forEach((arg) => this.walk(arg, { path, holds: new Set() }));
    args.forEach((arg) => this.logic(arg, path));
  }

  walk(value, at) {
    if (value === null || typeof value !== 'object') return;
    const name = functionOf(value);
    if (name === undefined) {
      for (const [key, child] of Object.entries(value)) this.walk(child, { ...at, path: `${at.path}/${key}` });
      return;
    }
    const arg = value[name];
    if (!(name in RESULTS)) return this.report(at.path, `${name} is no function here`);
    if (name === 'Ref') return this.name(arg, at, 'Ref');
    if (name === 'Fn::GetAtt') return this.attribute(arg, at);
    if (name === 'Fn::Sub') return this.sub(arg, at);
    if (name === 'Fn::If') return this.branch(arg, at);
    if (name === 'Fn::FindInMap') this.find(arg, at);
    this.walk(Array.isArray(arg) ? [...arg] : arg, at);
  }

  name(name, at, by) {
    if (this.parameters[name] !== undefined) this.used.add(`Parameters/${name}`);
    else if (this.resources[name] !== undefined) this.target(name, at, by);
    else if (PSEUDO[name] === undefined) this.report(at.path, `${by} ${name}: no such parameter or resource`);
  }

  target(name, at, by) {
    if (at.owner !== undefined) this.edges.get(at.owner).add(name);
    const condition = this.resources[name].Condition;
    if (condition !== undefined && !at.holds.has(condition)) {
      this.report(at.path, `${by} ${name}: it is there only if ${condition}, and this is not`);
    }
  }

  attribute(arg, at) {
    const [name, attribute] = Array.isArray(arg) ? arg : [];
    if (typeof name !== 'string' || typeof attribute !== 'string') return this.report(at.path, 'Fn::GetAtt takes a resource and an attribute');
    if (this.resources[name] === undefined) return this.report(at.path, `Fn::GetAtt ${name}: no such resource`);
    this.target(name, at, 'Fn::GetAtt');
    const type = this.spec.lookup('resource', 'cloudFormationType', 'equals', this.resources[name].Type ?? '')[0];
    if (type !== undefined && type.attributes[attribute] === undefined) {
      this.report(at.path, `Fn::GetAtt ${name}.${attribute}: ${this.resources[name].Type} has no such attribute`);
    }
  }

  sub(arg, at) {
    const [text, variables] = Array.isArray(arg) ? arg : [arg, {}];
    if (typeof text !== 'string') return this.report(at.path, 'Fn::Sub takes a text');
    this.walk(variables, at);
    const names = substitutions(text);
    if (names.length === 0) this.report(at.path, `Fn::Sub ${text}: nothing is substituted`);
    for (const name of names) {
      const dot = name.indexOf('.');
      if (name in variables) continue;
      if (dot > 0) this.attribute([name.slice(0, dot), name.slice(dot + 1)], at);
      else this.name(name, at, 'Fn::Sub');
    }
  }

  branch(arg, at) {
    if (!Array.isArray(arg) || arg.length !== 3) return this.report(at.path, 'Fn::If takes a condition and two values');
    const [condition, yes, no] = arg;
    this.condition(condition, at.path);
    this.walk(yes, { ...at, holds: new Set([...at.holds, condition]) });
    this.walk(no, at);
  }

  find(arg, at) {
    const [map, ...keys] = Array.isArray(arg) ? arg : [];
    if (keys.length !== 2) return this.report(at.path, 'Fn::FindInMap takes a map and two keys');
    if (this.mappings[map] === undefined) return this.report(at.path, `Fn::FindInMap: no such mapping ${map}`);
    this.used.add(`Mappings/${map}`);
    const choices = keys.map((key) => this.choices(key));
    for (const first of choices[0] ?? []) {
      for (const second of choices[1] ?? []) {
        if (this.mappings[map][first]?.[second] === undefined) this.report(at.path, `Fn::FindInMap: ${map} has no ${first}/${second}`);
      }
    }
  }

  // choices are the values that a key may have, undefined if anything.
  choices(key) {
    if (typeof key === 'string') return [key];
    return functionOf(key) === 'Ref' ? this.parameters[key.Ref]?.AllowedValues : undefined;
  }

  unused() {
    for (const section of ['Parameters', 'Conditions', 'Mappings']) {
      for (const name of Object.keys(this.template[section] ?? {})) {
        if (!this.used.has(`${section}/${name}`)) this.report(`${section}/${name}`, 'nobody uses it');
      }
    }
  }

  circles() {
    const done = new Set();
    const visit = (name, trail) => {
      if (trail.includes(name)) return this.report(`Resources/${name}`, `needs itself: ${[...trail, name].join(' → ')}`);
      if (done.has(name)) return undefined;
      for (const next of this.edges.get(name) ?? []) visit(next, [...trail, name]);
      return done.add(name);
    };
    for (const name of this.edges.keys()) visit(name, []);
  }
}
