package tables

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"rootwatch/pipeline/awstest/wire"
)

type attributeDefinition struct{ AttributeName, AttributeType string }

type keyElement struct{ AttributeName, KeyType string }

type createTableInput struct {
	TableName                 string
	AttributeDefinitions      []attributeDefinition
	KeySchema                 []keyElement
	BillingMode               string
	ProvisionedThroughput     *throughput
	DeletionProtectionEnabled bool
	// What this server does not have is refused.
	GlobalSecondaryIndexes, LocalSecondaryIndexes            json.RawMessage
	StreamSpecification, SSESpecification, Tags, TableClass  json.RawMessage
	ResourcePolicy, OnDemandThroughput, WarmThroughput       json.RawMessage
	GlobalTableSourceArn, GlobalTableSettingsReplicationMode json.RawMessage
}

func (in *createTableInput) refuse() error {
	return wire.Unsupported(map[string]json.RawMessage{
		"GlobalSecondaryIndexes": in.GlobalSecondaryIndexes, "LocalSecondaryIndexes": in.LocalSecondaryIndexes,
		"StreamSpecification": in.StreamSpecification, "SSESpecification": in.SSESpecification, "Tags": in.Tags,
		"TableClass": in.TableClass, "ResourcePolicy": in.ResourcePolicy, "OnDemandThroughput": in.OnDemandThroughput,
		"WarmThroughput": in.WarmThroughput, "GlobalTableSourceArn": in.GlobalTableSourceArn,
		"GlobalTableSettingsReplicationMode": in.GlobalTableSettingsReplicationMode,
	})
}

func createTable(s *Service, _ *wire.Request, in *createTableInput) (any, error) {
	if err := in.refuse(); err != nil {
		return nil, err
	}
	name, err := s.tableName(in.TableName)
	if err != nil {
		return nil, err
	}
	now := s.opts.Clock()
	s.ids++
	t := &table{
		id: s.ids, name: name, arn: s.tableARN(name), created: now, activeAt: now.Add(s.opts.CreateDuration),
		protect: in.DeletionProtectionEnabled,
	}
	if t.keys, err = keySchema(in); err != nil {
		return nil, err
	}
	if t.billing, t.capacity, err = billing(in); err != nil {
		return nil, err
	}
	if old := s.byName[name]; old != nil && !old.goneAt(now) {
		return nil, wire.Errorf("ResourceInUseException", "Table already exists: %s", name)
	}
	s.byName[name] = t
	return struct{ TableDescription tableDescription }{t.describe(now)}, nil
}

func keySchema(in *createTableInput) ([]keyAttribute, error) {
	if n := len(in.KeySchema); n < 1 || n > 2 {
		return nil, wire.Invalid("1 validation error detected: %d elements at 'keySchema' failed to satisfy constraint: Member must have length between 1 and 2", n)
	}
	var keys []keyAttribute
	for i, element := range in.KeySchema {
		if want := []string{"HASH", "RANGE"}[i]; element.KeyType != want {
			return nil, wire.Invalid("Invalid KeySchema: The %s KeySchemaElement is not a %s key type", []string{"first", "second"}[i], want)
		}
		at := slices.IndexFunc(in.AttributeDefinitions, func(d attributeDefinition) bool { return d.AttributeName == element.AttributeName })
		if at < 0 {
			return nil, wire.Invalid("One or more parameter values were invalid: Some index key attributes are not defined in AttributeDefinitions. Keys: [%s]", element.AttributeName)
		}
		kind := in.AttributeDefinitions[at].AttributeType
		if kind != "S" && kind != "N" && kind != "B" {
			return nil, wire.Invalid("1 validation error detected: Value '%s' at 'attributeDefinitions.%d.member.attributeType' failed to satisfy constraint: Member must satisfy enum value set: [B, N, S]", kind, at+1)
		}
		keys = append(keys, keyAttribute{element.AttributeName, kind})
	}
	if len(keys) == 2 && keys[0].name == keys[1].name {
		return nil, wire.Invalid("Both the Hash Key and the Range Key element in the KeySchema have the same name")
	}
	if len(in.AttributeDefinitions) != len(keys) {
		return nil, wire.Invalid("One or more parameter values were invalid: Number of attributes in KeySchema does not exactly match number of attributes defined in AttributeDefinitions")
	}
	return keys, nil
}

func billing(in *createTableInput) (string, throughput, error) {
	p := in.ProvisionedThroughput
	switch in.BillingMode {
	case "PAY_PER_REQUEST":
		if p != nil {
			return "", throughput{}, wire.Invalid("One or more parameter values were invalid: Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST")
		}
		return in.BillingMode, throughput{}, nil
	case "", "PROVISIONED":
		if p == nil || p.ReadCapacityUnits < 1 || p.WriteCapacityUnits < 1 {
			return "", throughput{}, wire.Invalid("One or more parameter values were invalid: ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED")
		}
		return "PROVISIONED", *p, nil
	}
	return "", throughput{}, wire.Invalid("1 validation error detected: Value '%s' at 'billingMode' failed to satisfy constraint: Member must satisfy enum value set: [PROVISIONED, PAY_PER_REQUEST]", in.BillingMode)
}

type billingSummary struct{ BillingMode string }

type tableDescription struct {
	TableName                 string
	TableArn                  string
	TableId                   string
	TableStatus               string
	AttributeDefinitions      []attributeDefinition
	KeySchema                 []keyElement
	CreationDateTime          wire.Seconds
	ProvisionedThroughput     describedThroughput
	BillingModeSummary        *billingSummary `json:",omitempty"`
	ItemCount                 int
	TableSizeBytes            int64
	DeletionProtectionEnabled bool
}

type describedThroughput struct {
	throughput
	NumberOfDecreasesToday int64
}

// describe says what is true now; AWS brings ItemCount and TableSizeBytes up to date every six
// hours only.
func (t *table) describe(now time.Time) tableDescription {
	d := tableDescription{
		TableName: t.name, TableArn: t.arn, TableId: fmt.Sprintf("00000000-0000-4000-8000-%012x", t.id), TableStatus: t.status(now),
		CreationDateTime: wire.Seconds(t.created), ProvisionedThroughput: describedThroughput{throughput: t.capacity},
		ItemCount: len(t.rows), TableSizeBytes: t.bytes, DeletionProtectionEnabled: t.protect,
	}
	if t.billing == "PAY_PER_REQUEST" {
		d.BillingModeSummary = &billingSummary{t.billing}
	}
	for i, k := range t.keys {
		d.AttributeDefinitions = append(d.AttributeDefinitions, attributeDefinition{k.name, k.kind})
		d.KeySchema = append(d.KeySchema, keyElement{k.name, []string{"HASH", "RANGE"}[i]})
	}
	return d
}

type tableInput struct{ TableName string }

func describeTable(s *Service, _ *wire.Request, in *tableInput) (any, error) {
	t, now, err := s.findTable(in.TableName)
	if err != nil {
		return nil, err
	}
	return struct{ Table tableDescription }{t.describe(now)}, nil
}

func deleteTable(s *Service, _ *wire.Request, in *tableInput) (any, error) {
	t, now, err := s.findTable(in.TableName)
	if err != nil {
		return nil, err
	}
	switch status := t.status(now); {
	case status != "ACTIVE":
		return nil, wire.Errorf("ResourceInUseException", "Attempt to change a resource which is still in use: Table is being %s: %s", map[string]string{"CREATING": "created", "DELETING": "deleted"}[status], t.name)
	case t.protect:
		return nil, wire.Invalid("Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection first.")
	}
	t.deletedAt = now.Add(s.opts.CreateDuration)
	return struct{ TableDescription tableDescription }{t.describe(now)}, nil
}

type listTablesInput struct {
	ExclusiveStartTableName string
	Limit                   *int
}

func listTables(s *Service, _ *wire.Request, in *listTablesInput) (any, error) {
	limit, err := wire.PageSize(in.Limit, "limit", 100, 100)
	if err != nil {
		return nil, err
	}
	now := s.opts.Clock()
	names := []string{}
	for name, t := range s.byName {
		if name > in.ExclusiveStartTableName && !t.goneAt(now) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	out := struct {
		TableNames             []string
		LastEvaluatedTableName string `json:",omitempty"`
	}{TableNames: names[:min(limit, len(names))]}
	if len(names) > limit {
		out.LastEvaluatedTableName = names[limit-1]
	}
	return out, nil
}
