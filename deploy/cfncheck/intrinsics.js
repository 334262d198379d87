// The intrinsic functions by their long names, and how to recognise one.

/** Functions that a value may be made of, with what each gives; `any` where that depends on the arguments. */
export const RESULTS = {
  Ref: 'any', 'Fn::GetAtt': 'any', 'Fn::If': 'any', 'Fn::FindInMap': 'any', 'Fn::Select': 'any',
  'Fn::Sub': 'string', 'Fn::Join': 'string', 'Fn::Base64': 'string', 'Fn::ImportValue': 'string',
  'Fn::Split': 'list', 'Fn::GetAZs': 'list', 'Fn::Cidr': 'list',
};

/** Functions of conditions and rules, with how many arguments each takes. */
export const LOGIC = { 'Fn::Equals': [2, 2], 'Fn::And': [2, 10], 'Fn::Or': [2, 10], 'Fn::Not': [1, 1], Condition: null };

/** Pseudo parameters and what they give. */
export const PSEUDO = {
  'AWS::AccountId': 'string', 'AWS::NoValue': 'none', 'AWS::NotificationARNs': 'list', 'AWS::Partition': 'string',
  'AWS::Region': 'string', 'AWS::StackId': 'string', 'AWS::StackName': 'string', 'AWS::URLSuffix': 'string',
};

/** The function's long name if value is a call of one ({"Ref": …}, {"Fn::…": …}), else undefined. */
export function functionOf(value) {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return undefined;
  const keys = Object.keys(value);
  if (keys.length !== 1) return undefined;
  return keys[0] === 'Ref' || keys[0].startsWith('Fn::') ? keys[0] : undefined;
}

/** Whether value is !Ref AWS::NoValue: as if it were not there. */
export const isNoValue = (value) => functionOf(value) === 'Ref' && value.Ref === 'AWS::NoValue';

/** The names in the ${…} of a Fn::Sub text; ${!x} is the literal ${x}. */
export const substitutions = (text) => [...text.matchAll(/\$\{([^!}][^}]*)\}/g)].map((match) => match[1]);
