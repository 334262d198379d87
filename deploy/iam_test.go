package deploy

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

const (
	testLeaseTable = "arn:aws:dynamodb:eu-central-1:111122223333:table/rootwatch"
	testLedger     = "arn:aws:dynamodb:eu-central-1:111122223333:table/rootwatch-findings"
)

// taskRoleActions is what the worker may do in a service that is deployed with the given
// parameters: for each resource, the sorted actions.
func taskRoleActions(t *testing.T, given map[string]string) map[string][]string {
	t.Helper()
	return roleActions(t, deploy(t, "service", serviceParameters(given)), "TaskRole")
}

func roleActions(t *testing.T, s *stack, role string) map[string][]string {
	t.Helper()
	properties := s.properties(role)
	if properties["ManagedPolicyArns"] != nil {
		t.Errorf("%s has managed policies: %v", role, properties["ManagedPolicyArns"])
	}
	actions := map[string][]string{}
	for _, policy := range properties["Policies"].([]any) {
		for _, statement := range at(policy, "PolicyDocument", "Statement").([]any) {
			if at(statement, "Effect") != "Allow" || at(statement, "NotAction") != nil || at(statement, "NotResource") != nil {
				t.Errorf("%s: %v", role, statement)
			}
			for _, resource := range oneOrMore(at(statement, "Resource")) {
				actions[resource] = append(actions[resource], oneOrMore(at(statement, "Action"))...)
			}
		}
	}
	for resource := range actions {
		slices.Sort(actions[resource])
	}
	return actions
}

func oneOrMore(value any) []string {
	if s, ok := value.(string); ok {
		return []string{s}
	}
	var list []string
	for _, item := range value.([]any) {
		list = append(list, item.(string))
	}
	return list
}

// The worker has the one role and what starts it the other.
func TestTaskHasItsRoles(t *testing.T) {
	task := deploy(t, "service", serviceParameters(nil)).properties("TaskDefinition")
	if task["TaskRoleArn"] != "att:TaskRole.Arn" || task["ExecutionRoleArn"] != "att:ExecutionRole.Arn" {
		t.Errorf("task role %v, execution role %v", task["TaskRoleArn"], task["ExecutionRoleArn"])
	}
}

// The worker may do what it does, and nothing else.
func TestTaskRole(t *testing.T) {
	stream := []string{"kinesis:DescribeStreamSummary", "kinesis:GetRecords", "kinesis:GetShardIterator", "kinesis:ListShards"}
	leases := []string{"dynamodb:DeleteItem", "dynamodb:DescribeTable", "dynamodb:Scan", "dynamodb:UpdateItem"}
	ledger := []string{"dynamodb:DescribeTable", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:UpdateTimeToLive"}
	with := func(table []string, more ...string) []string {
		return slices.Sorted(slices.Values(slices.Concat(table, more)))
	}

	tests := []struct {
		name  string
		given map[string]string
		want  map[string][]string
	}{
		{"by default the worker makes its tables", nil, map[string][]string{
			testStream:     stream,
			testLeaseTable: with(leases, "dynamodb:CreateTable"),
			testLedger:     with(ledger, "dynamodb:CreateTable"),
		}},
		{"tables of the stack", map[string]string{"TablesCreatedBy": "stack"}, map[string][]string{
			testStream:            stream,
			"att:LeaseTable.Arn":  leases,
			"att:LedgerTable.Arn": ledger,
		}},
		{"everything", map[string]string{"StreamKeyArn": testKey}, map[string][]string{
			testStream:     stream,
			testLeaseTable: with(leases, "dynamodb:CreateTable"),
			testLedger:     with(ledger, "dynamodb:CreateTable"),
			testKey:        {"kms:Decrypt"},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := taskRoleActions(t, tt.given)
			if !maps.EqualFunc(got, tt.want, slices.Equal) {
				t.Errorf("got  %s\nwant %s", asJSON(t, got), asJSON(t, tt.want))
			}
		})
	}
}

// A stack's table is the one that the worker uses and the role allows.
func TestTablesOfTheStack(t *testing.T) {
	if tables := deploy(t, "service", serviceParameters(nil)).ofType("AWS::DynamoDB::Table"); len(tables) != 0 {
		t.Errorf("by default: %v", tables)
	}
	s := deploy(t, "service", serviceParameters(map[string]string{"TablesCreatedBy": "stack", "Application": "watch"}))
	if got := s.properties("LeaseTable")["TableName"]; got != environment(s)["ROOTWATCH_KINESIS_APPLICATION"] {
		t.Errorf("lease table %v", got)
	}
	if got := s.properties("LedgerTable")["TableName"]; got != environment(s)["ROOTWATCH_LEDGER_TABLE"] {
		t.Errorf("ledger %v", got)
	}
	actions := roleActions(t, s, "TaskRole")
	// By the resource and not by its name: the service, which has the role in its task definition,
	// then waits for the tables.
	for _, table := range []string{"LeaseTable", "LedgerTable"} {
		if actions["att:"+table+".Arn"] == nil {
			t.Errorf("the role does not allow %s: %v", table, actions)
		}
	}
	for id, table := range s.ofType("AWS::DynamoDB::Table") {
		if table["BillingMode"] != "PAY_PER_REQUEST" || at(table, "PointInTimeRecoverySpecification", "PointInTimeRecoveryEnabled") != true {
			t.Errorf("%s: %v", id, table)
		}
		// A stack that fails while it is made takes its tables back, which deletion protection
		// would forbid; a deleted one keeps them.
		if table["DeletionProtectionEnabled"] != nil || at(s.resources[id], "DeletionPolicy") != "RetainExceptOnCreate" || at(s.resources[id], "UpdateReplacePolicy") != "Retain" {
			t.Errorf("%s cannot be rolled back, or is not kept: %v", id, s.resources[id])
		}
	}
}

// No role has an action with a wildcard, and none a resource, but for the one call that knows no
// resource.
func TestRolesAreNarrow(t *testing.T) {
	roles := map[string]*stack{
		"StreamWriter":  deploy(t, "central", map[string]string{"StreamKeyArn": testKey}),
		"Forwarder":     deploy(t, "forwarder", forwarderParameters(nil)),
		"Scheduler":     deploy(t, "forwarder", forwarderParameters(map[string]string{"HeartbeatVia": "scheduler"})),
		"ExecutionRole": deploy(t, "service", serviceParameters(map[string]string{"ImageRepositoryArn": "arn:aws:ecr:eu-central-1:111122223333:repository/rootwatch"})),
		"TaskRole":      deploy(t, "service", serviceParameters(nil)),
	}
	for role, s := range roles {
		for resource, actions := range roleActions(t, s, role) {
			if strings.Contains(resource, "*") && !slices.Equal(actions, []string{"ecr:GetAuthorizationToken"}) {
				t.Errorf("%s: %v on %s", role, actions, resource)
			}
			if slices.ContainsFunc(actions, func(action string) bool { return strings.Contains(action, "*") }) {
				t.Errorf("%s: %v on %s", role, actions, resource)
			}
		}
		trust := at(s.properties(role), "AssumeRolePolicyDocument", "Statement", 0)
		if at(trust, "Condition", "StringEquals", "aws:SourceAccount") != testAccount {
			t.Errorf("%s trusts %v for any account", role, at(trust, "Principal"))
		}
	}
}

// The role's trust names the rules by their names: a rule that is called otherwise could not use
// it.
func TestRolesTrustTheirRules(t *testing.T) {
	trusted := func(s *stack, role string) string {
		return at(s.properties(role), "AssumeRolePolicyDocument", "Statement", 0, "Condition", "ArnLike", "aws:SourceArn").(string)
	}
	central := deploy(t, "central", map[string]string{"BusName": "watch"})
	if got, want := trusted(central, "StreamWriter"), "arn:aws:events:eu-central-1:111122223333:rule/watch/rootwatch-*"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	forwarder := deploy(t, "forwarder", forwarderParameters(nil))
	if got, want := trusted(forwarder, "Forwarder"), "arn:aws:events:eu-central-1:111122223333:rule/rootwatch-*"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// Pulling the image needs nothing where anybody may pull it.
func TestExecutionRole(t *testing.T) {
	logs := map[string][]string{"att:Logs.Arn": {"logs:CreateLogStream", "logs:PutLogEvents"}}
	if got := roleActions(t, deploy(t, "service", serviceParameters(nil)), "ExecutionRole"); !maps.EqualFunc(got, logs, slices.Equal) {
		t.Errorf("public image: %v", got)
	}
}
