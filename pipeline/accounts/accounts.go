// Package accounts reads what people call an organisation's accounts. It does no I/O.
package accounts

import (
	"cmp"
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"

	"rootwatch/classify"
	"rootwatch/pipeline"
	"rootwatch/pipeline/yamlfile"
)

// Names are what is known of accounts, by their ids.
type Names map[string]pipeline.Account

// Of is what is known of an account, the zero value if nothing is.
func (n Names) Of(id string) pipeline.Account { return n[id] }

// The limits of what is shown of an account.
const (
	maxText = 200 // bytes of a name, an owner, and a tag's key or value
	maxTags = 20
)

// Parse reads a file of accounts, YAML or JSON: a list of accounts with id, name, owner and tags,
// below the key accounts or by itself; or what `aws organizations list-accounts` answers. The error
// is a [yamlfile.Problems].
func Parse(data []byte) (Names, error) {
	root, err := yamlfile.Parse(data)
	if err != nil {
		return nil, err
	}
	var problems yamlfile.Problems
	r := &reader{names: make(Names), lines: make(map[string]int), problems: &problems}
	r.file(root)
	if err := problems.Err(); err != nil {
		return nil, err
	}
	return r.names, nil
}

type reader struct {
	names    Names
	lines    map[string]int
	problems *yamlfile.Problems
}

func (r *reader) file(root *yaml.Node) {
	if root.Kind == yaml.SequenceNode {
		r.list(root, false)
		return
	}
	found := false
	for _, f := range yamlfile.Fields(root, "the file of accounts", r.problems) {
		switch f.Key {
		case "accounts", "Accounts":
			found = true
			r.list(f.Value, f.Key == "Accounts")
		case "NextToken": // AWS's word for more, which the command line asks for by itself unless it is told not to
			if f.Value.Tag != "!!null" {
				r.problems.Add(f.At, "NextToken: the list is not complete, ask AWS for all of it")
			}
		default:
			r.problems.Add(f.At, "unknown key %s: want accounts, or the answer of `aws organizations list-accounts`", yamlfile.Quote(f.Key))
		}
	}
	if !found && root.Kind == yaml.MappingNode && len(*r.problems) == 0 {
		r.problems.Add(root, "the key accounts is missing: it is the list of accounts")
	}
}

func (r *reader) list(n *yaml.Node, fromAWS bool) {
	for i, item := range yamlfile.Items(n, "accounts", r.problems) {
		what := fmt.Sprintf("account %d", i+1)
		fields := yamlfile.Fields(item, what, r.problems)
		if item.Kind != yaml.MappingNode {
			continue
		}
		if fromAWS {
			r.account(item, what, awsFields(fields), "Id")
		} else {
			r.account(item, what, fields, "id")
		}
	}
}

// awsFields are the members that AWS's list has of ours; it has others, and may get more.
func awsFields(fields []yamlfile.Field) (own []yamlfile.Field) {
	for _, f := range fields {
		switch f.Key {
		case "Id":
			f.Key = "id"
		case "Name":
			f.Key = "name"
		default:
			continue
		}
		own = append(own, f)
	}
	return own
}

func (r *reader) account(n *yaml.Node, what string, fields []yamlfile.Field, idKey string) {
	id := ""
	var a pipeline.Account
	for _, f := range fields {
		switch f.Key {
		case "id":
			id = f.Value.Value
			if f.Value.Kind != yaml.ScalarNode || !classify.IsAccountID(id) {
				r.problems.Add(f.Value, "%s: %s is %s, want 12 digits, such as 111122223333", what, idKey, yamlfile.Kind(f.Value))
				return
			}
			what = "account " + id
		case "name":
			a.Name = r.text(f.Value, what+": name")
		case "owner":
			a.Owner = r.text(f.Value, what+": owner")
		case "tags":
			a.Tags = r.tags(f.Value, what+": tags")
		default:
			r.problems.Add(f.At, "%s: unknown key %s: an account has id, name, owner, tags", what, yamlfile.Quote(f.Key))
		}
	}
	switch {
	case id == "":
		r.problems.Add(n, "%s has no %s: give its 12 digits", what, idKey)
	case r.lines[id] != 0:
		r.problems.Add(n, "account %s stands in line %d already: keep one", id, r.lines[id])
	default:
		r.lines[id], r.names[id] = n.Line, a
	}
}

func (r *reader) text(n *yaml.Node, what string) string {
	s := yamlfile.Text(n, what, r.problems)
	if len(s) > maxText {
		r.problems.Add(n, "%s has %d bytes, %d at most", what, len(s), maxText)
	}
	return s
}

func (r *reader) tags(n *yaml.Node, what string) (tags []pipeline.Tag) {
	for _, f := range yamlfile.Fields(n, what, r.problems) {
		if len(f.Key) > maxText {
			r.problems.Add(f.At, "%s: a key has %d bytes, %d at most", what, len(f.Key), maxText)
		}
		tags = append(tags, pipeline.Tag{Key: f.Key, Value: r.text(f.Value, what+": "+yamlfile.Quote(f.Key))})
	}
	if len(tags) > maxTags {
		r.problems.Add(n, "%s are %d, %d at most: keep those that say something when a page comes", what, len(tags), maxTags)
	}
	slices.SortFunc(tags, func(a, b pipeline.Tag) int { return cmp.Compare(a.Key, b.Key) })
	return tags
}
