// The checker must fail on what is broken: each test plants one fault and wants it named.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { test } from 'node:test';
import { loadAwsServiceSpecSync } from '@aws-cdk/aws-service-spec';
import { check } from './check.js';
import { parse } from './parse.js';

const spec = loadAwsServiceSpecSync();

const GOOD = `
AWSTemplateFormatVersion: "2010-09-09"
Description: a bus, a stream and a rule
Parameters:
  Mode: { Type: String, Default: ON_DEMAND, AllowedValues: [ON_DEMAND, PROVISIONED], Description: the stream's mode }
  Hours: { Type: Number, Default: 24, MinValue: 24, MaxValue: 8760, Description: the stream's retention }
  Key: { Type: String, Default: "", Description: a key }
  Size: { Type: String, Default: small, AllowedValues: [small, large], Description: how large }
  Subnets: { Type: CommaDelimitedList, Description: where }
Mappings:
  Sizes:
    small: { Delay: 1 }
    large: { Delay: 5 }
Conditions:
  Keyed: !Not [!Equals [!Ref Key, ""]]
  Provisioned: !And [!Condition Keyed, !Equals [!Ref Mode, PROVISIONED]]
Resources:
  Stream:
    Type: AWS::Kinesis::Stream
    DeletionPolicy: Retain
    UpdateReplacePolicy: Retain
    Properties:
      RetentionPeriodHours: !Ref Hours
      StreamModeDetails: { StreamMode: !Ref Mode }
      ShardCount: !If [Provisioned, 1, !Ref AWS::NoValue]
      StreamEncryption: !If [Keyed, { EncryptionType: KMS, KeyId: !Ref Key }, !Ref AWS::NoValue]
  Queue:
    Type: AWS::SQS::Queue
    Condition: Keyed
    DeletionPolicy: Delete
    UpdateReplacePolicy: Delete
    Properties:
      DelaySeconds: !FindInMap [Sizes, !Ref Size, Delay]
  Rule:
    Type: AWS::Events::Rule
    DependsOn: Stream
    Properties:
      State: ENABLED
      EventPattern: { source: [aws.events] }
      Targets:
        - Id: stream
          Arn: !GetAtt Stream.Arn
          KinesisParameters: { PartitionKeyPath: $.id }
          DeadLetterConfig: !If [Keyed, { Arn: !GetAtt Queue.Arn }, !Ref AWS::NoValue]
  Target:
    Type: AWS::ECS::Service
    Properties:
      DesiredCount: 1
      NetworkConfiguration: { AwsvpcConfiguration: { Subnets: !Ref Subnets } }
Outputs:
  Arn: { Description: the stream, Value: !Sub "\${Stream.Arn}" }
`;

const problemsOf = (text) => check(parse(text), spec, text.length).map((p) => `${p.path}: ${p.message}`);

test('a good template has no problems', () => assert.deepEqual(problemsOf(GOOD), []));

// Each fault: what is replaced in GOOD, by what, and what the checker has to say.
const FAULTS = {
  'an unknown resource type': ['AWS::SQS::Queue', 'AWS::SQS::Kueue', /Resources\/Queue: unknown resource type AWS::SQS::Kueue/],
  'an unknown property': ['RetentionPeriodHours', 'RetentionHours', /Properties\/RetentionHours: unknown property/],
  'an unknown nested property': ['PartitionKeyPath', 'PartitionKey', /KinesisParameters\/PartitionKey: unknown property/],
  'a missing required property': ['Id: stream\n          ', '', /Targets\/0: Id is required/],
  'a missing nested required property': ['{ PartitionKeyPath: $.id }', '{}', /KinesisParameters: PartitionKeyPath is required/],
  'a required property that a condition takes away': ['Arn: !GetAtt Stream.Arn', 'Arn: !If [Keyed, x, !Ref AWS::NoValue]', /Targets\/0: Arn is required/],
  'a wrong enumeration value': ['State: ENABLED', 'State: ENABLED_WITH_ALL', /State: ENABLED_WITH_ALL: want one of/],
  'a wrong enumeration value in a branch': ['State: ENABLED', 'State: !If [Keyed, ENABLED, "ON"]', /State: ON: want one of/],
  'a parameter that allows more than the enumeration': ['[ON_DEMAND, PROVISIONED]', '[ON_DEMAND, SOMETIMES]', /StreamMode: SOMETIMES: want one of/],
  'a free parameter for an enumeration': [', AllowedValues: [ON_DEMAND, PROVISIONED]', '', /StreamMode: want one of .* may give anything/],
  'a string where a number belongs': ['DesiredCount: 1', 'DesiredCount: "1"', /DesiredCount: want a integer/],
  'a number where a string belongs': ['Id: stream', 'Id: 5', /Id: want a string, got 5/],
  'an unquoted word that YAML 1.1 takes for a boolean': ['Id: stream', 'Id: off', /Id: want a string, got false/],
  'a string parameter where a number belongs': ['Type: Number, Default: 24, MinValue: 24, MaxValue: 8760', 'Type: String, Default: "24"', /RetentionPeriodHours: want a integer, Ref gives a string/],
  'one value where a list belongs': ['Type: CommaDelimitedList', 'Type: String', /Subnets: want a list, Ref gives a string/],
  'a list where one value belongs': ['Arn: !GetAtt Stream.Arn', 'Arn: !Ref Subnets', /Arn: want a string, Ref gives a list/],
  'an object where a list belongs': ['Targets:\n        - Id', 'Targets:\n          Id', /Targets: want a list/],
  'a mapping that gives text for a number': ['{ Delay: 5 }', '{ Delay: soon }', /DelaySeconds: /],
  'a mapping without one of the keys': ['small: { Delay: 1 }', 'tiny: { Delay: 1 }', /Sizes has no small\/Delay/],
  'a dangling Ref': ['!Ref Hours', '!Ref Hour', /Ref Hour: no such parameter or resource/],
  'a dangling GetAtt': ['!GetAtt Stream.Arn', '!GetAtt Streams.Arn', /Fn::GetAtt Streams: no such resource/],
  'an attribute that the resource does not have': ['!GetAtt Stream.Arn', '!GetAtt Stream.Url', /has no such attribute/],
  'a dangling Sub': ['${Stream.Arn}', '${Strm}', /Fn::Sub Strm: no such parameter or resource/],
  'a Sub without anything to substitute': ['${Stream.Arn}', 'arn', /nothing is substituted/],
  'a dangling DependsOn': ['DependsOn: Stream', 'DependsOn: Strm', /DependsOn Strm: no such resource/],
  'a resource that waits for itself': ['DependsOn: Stream', 'DependsOn: Rule', /needs itself: Rule → Rule/],
  'an unknown condition': ['Condition: Keyed\n', 'Condition: Locked\n', /no such condition Locked/],
  'a condition with too few arguments': ['!Equals [!Ref Key, ""]', '!Equals [!Ref Key]', /Fn::Equals takes 2 arguments/],
  'a conditional resource that is used unconditionally': ['Arn: !GetAtt Stream.Arn', 'Arn: !GetAtt Queue.Arn', /Queue: it is there only if Keyed/],
  'a parameter that nobody uses': ['!Ref Hours', '24', /Parameters\/Hours: nobody uses it/],
  'a condition that nobody uses': ['ShardCount: !If [Provisioned, 1, !Ref AWS::NoValue]', 'ShardCount: 1', /Conditions\/Provisioned: nobody uses it/],
  'a default that is not allowed': ['Default: ON_DEMAND', 'Default: NEVER', /Default NEVER is not an allowed value/],
  'a default out of range': ['Default: 24', 'Default: 1', /Default 1 is out of range/],
  'a parameter without a description': [", Description: the stream's mode", '', /Parameters\/Mode: Description is missing/],
  'data without a DeletionPolicy': ['    DeletionPolicy: Retain\n', '', /Resources\/Stream: AWS::Kinesis::Stream keeps data: say its DeletionPolicy/],
  'a DeletionPolicy that does not exist': ['DeletionPolicy: Delete', 'DeletionPolicy: Keep', /DeletionPolicy Keep: want one of/],
  'an unknown key of a resource': ['DependsOn: Stream', 'DependOn: Stream', /Resources\/Rule: unknown key DependOn/],
  'an unknown section': ['Mappings:', 'Maps:', /unknown section Maps/],
  'an unknown function': ['!Ref Hours', '{ "Fn::Hours": 1 }', /Fn::Hours is no function here/],
};

for (const [name, [from, to, want]] of Object.entries(FAULTS)) {
  test(`it says: ${name}`, () => {
    const broken = GOOD.replace(from, () => to);
    assert.notEqual(broken, GOOD, 'the fault was not planted');
    const problems = problemsOf(broken);
    assert.ok(problems.some((problem) => want.test(problem)), `want ${want}, got:\n${problems.join('\n')}`);
  });
}

test('it refuses an alias', () => {
  const aliased = GOOD.replace('EventPattern: {', 'EventPattern: &p {').replace('DesiredCount: 1', 'DesiredCount: 1\n      Tags: [*p]');
  assert.throws(() => parse(aliased), /alias/);
});

test('it refuses the same key twice', () => {
  assert.throws(() => parse(GOOD.replace('Id: stream', 'Id: stream\n          Id: other')), /duplicat/i);
});

test('it refuses a template that --template-body does not take', () => {
  assert.match(check(parse(GOOD), spec, 51201)[0].message, /51200/);
});

// The templates themselves: broken in each place, they must not pass.
const folder = new URL('../cloudformation/', import.meta.url);
const templates = readdirSync(folder).filter((file) => file.endsWith('.yaml'));

test('there are templates to check', () => assert.ok(templates.length >= 3, templates.join()));

for (const file of templates) {
  const text = readFileSync(new URL(file, folder), 'utf8');

  test(`${file} has no problems`, () => assert.deepEqual(problemsOf(text), []));

  test(`${file}: an unknown property in any resource is found`, () => {
    for (const name of Object.keys(parse(text).Resources)) {
      const template = parse(text);
      template.Resources[name].Properties = { ...template.Resources[name].Properties, Planted: 1 };
      const paths = check(template, spec).map((p) => p.path);
      assert.deepEqual(paths, [`Resources/${name}/Properties/Planted`]);
    }
  });

  test(`${file}: any property that is required is missed`, () => {
    for (const [name, resource] of Object.entries(parse(text).Resources)) {
      const type = spec.lookup('resource', 'cloudFormationType', 'equals', resource.Type).only();
      for (const [key, property] of Object.entries(type.properties)) {
        if (!property.required) continue;
        const template = parse(text);
        delete template.Resources[name].Properties[key];
        assert.ok(check(template, spec).some((p) => p.message === `${key} is required`), `${name} without ${key}`);
      }
    }
  });

  test(`${file}: a parameter that goes away is missed`, () => {
    for (const parameter of Object.keys(parse(text).Parameters)) {
      const template = parse(text);
      delete template.Parameters[parameter];
      assert.ok(check(template, spec).some((p) => p.message.includes(parameter)), parameter);
    }
  });
}
