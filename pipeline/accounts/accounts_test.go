package accounts

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rootwatch/classify"
	"rootwatch/pipeline"
	"rootwatch/pipeline/yamlfile"
)

// fromAWS is what the command line answers, with members that are not ours.
const fromAWS = `{
    "Accounts": [
        {
            "Id": "111122223333",
            "Arn": "arn:aws:organizations::111122223333:account/o-exampleorgid/111122223333",
            "Email": "billing@example.com",
            "Name": "prod-billing",
            "Status": "ACTIVE",
            "JoinedMethod": "INVITED",
            "JoinedTimestamp": 1700000000.123
        },
        {"Id": "012345678901", "Name": "日本 \ud83d\uddddx\/y", "State": "ACTIVE", "Paths": ["o-exampleorgid/"]}
    ]
}
`

func TestFilesOfAccounts(t *testing.T) {
	whole := Names{
		"111122223333": {Name: "prod-billing", Owner: "payments", Tags: []pipeline.Tag{{Key: "env", Value: "prod"}, {Key: "tier", Value: "1"}}},
		"012345678901": {Name: "sandbox"},
	}
	for name, c := range map[string]struct {
		text string
		want Names
	}{
		"YAML":                    {"accounts:\n- id: 111122223333\n  name: prod-billing\n  owner: payments\n  tags: {tier: 1, env: prod}\n- {id: 012345678901, name: sandbox}\n", whole},
		"a list in YAML":          {"- {id: '111122223333', name: prod-billing, owner: payments, tags: {env: prod, tier: '1'}}\n- {id: '012345678901', name: sandbox}\n", whole},
		"JSON":                    {`{"accounts": [{"id": "111122223333", "name": "prod-billing", "owner": "payments", "tags": {"env": "prod", "tier": "1"}}, {"id": "012345678901", "name": "sandbox"}]}`, whole},
		"AWS's list":              {fromAWS, Names{"111122223333": {Name: "prod-billing"}, "012345678901": {Name: "日本 🗝x/y"}}},
		"AWS's list as YAML":      {"Accounts:\n- Arn: x\n  Id: '111122223333'\n  Name: prod-billing\n", Names{"111122223333": {Name: "prod-billing"}}},
		"AWS's list with its end": {`{"Accounts": [{"Id": "111122223333", "Name": "a"}], "NextToken": null}`, Names{"111122223333": {Name: "a"}}},
		"an id alone":             {"[{id: '111122223333'}]", Names{"111122223333": {}}},
		"none":                    {"accounts: []", Names{}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Parse([]byte(c.text))
			if diff := cmp.Diff(c.want, got); diff != "" || err != nil {
				t.Errorf("error %v, names (-want +got):\n%s", err, diff)
			}
			for id, a := range c.want {
				if !cmp.Equal(got.Of(id), a) {
					t.Errorf("%s is %v", id, got.Of(id))
				}
			}
			if a := got.Of("999999999999"); a.Name != "" {
				t.Errorf("an account that is not there is %v", a)
			}
		})
	}
}

func TestWhatIsWrongWithAFileOfAccounts(t *testing.T) {
	var tags []string
	for i := range maxTags + 1 {
		tags = append(tags, fmt.Sprintf("t%d: x", i))
	}
	for name, c := range map[string]struct{ text, want string }{
		"empty":                 {"", "the file is empty"},
		"no list":               {"accounts: {}", "line 1: accounts is keys with values, want a list"},
		"another key":           {"names: []", `line 1: unknown key "names": want accounts, or the answer of ` + "`aws organizations list-accounts`"},
		"no key":                {"{}", "line 1: the key accounts is missing: it is the list of accounts"},
		"a text":                {"accounts", `line 1: the file of accounts is "accounts", want keys with values`},
		"a list that goes on":   {`{"Accounts": [], "NextToken": "x"}`, "line 1: NextToken: the list is not complete, ask AWS for all of it"},
		"no id":                 {"- name: a\n", "line 1: account 1 has no id: give its 12 digits"},
		"no id in AWS's list":   {`{"Accounts": [{"Name": "a"}]}`, "line 1: account 1 has no Id: give its 12 digits"},
		"an id with dashes":     {"- id: 1111-2222-3333\n", `line 1: account 1: id is "1111-2222-3333", want 12 digits, such as 111122223333`},
		"an id without zeros":   {`[{"id": 12345678901}]`, `line 1: account 1: id is "12345678901", want 12 digits, such as 111122223333`},
		"an unknown key":        {"- id: '111122223333'\n  title: a\n", `line 2: account 111122223333: unknown key "title": an account has id, name, owner, tags`},
		"AWS's keys by our own": {"accounts:\n- Id: '111122223333'\n", `line 2: account 1: unknown key "Id": an account has id, name, owner, tags (and 1 more)`},
		"twice":                 {"- id: '111122223333'\n- id: '111122223333'\n", "line 2: account 111122223333 stands in line 1 already: keep one"},
		"a name of two":         {"- id: '111122223333'\n  name: [a]\n", "line 2: account 111122223333: name is a list, want a text"},
		"a long name":           {"- id: '111122223333'\n  name: " + strings.Repeat("x", 201), "line 2: account 111122223333: name has 201 bytes, 200 at most"},
		"tags as AWS has them":  {"- id: '111122223333'\n  tags: [{Key: a, Value: b}]\n", "line 2: account 111122223333: tags is a list, want keys with values"},
		"too many tags":         {"- id: '111122223333'\n  tags: {" + strings.Join(tags, ", ") + "}", "line 2: account 111122223333: tags are 21, 20 at most: keep those that say something when a page comes"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Parse([]byte(c.text))
			if got != nil || err == nil || err.Error() != c.want {
				t.Errorf("names %v, error\n%v, want\n%s", got, err, c.want)
			}
		})
	}
}

// FuzzParse: whatever a file holds, it is refused in one line, or all that it names are accounts.
func FuzzParse(f *testing.F) {
	f.Add([]byte(fromAWS))
	f.Add([]byte("accounts:\n- {id: 111122223333, name: a, owner: b, tags: {c: d}}\n"))
	f.Add([]byte("- id: &a 111122223333\n- id: *a\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		names, err := Parse(data)
		if err != nil {
			var problems yamlfile.Problems
			if !errors.As(err, &problems) || names != nil || strings.ContainsAny(err.Error(), "\n\x1b") {
				t.Errorf("names %v, error %q", names, err)
			}
			return
		}
		for id, a := range names {
			if !classify.IsAccountID(id) || len(a.Name) > maxText || len(a.Owner) > maxText || len(a.Tags) > maxTags {
				t.Errorf("%s: %v", id, a)
			}
		}
	})
}

// The example is what an operator copies.
func TestTheExampleIsAFileOfAccounts(t *testing.T) {
	text, err := os.ReadFile("../../deploy/policy/accounts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	names, err := Parse(text)
	if err != nil || names.Of("444455556666").String() != "prod-billing, owner payments, env=prod" {
		t.Errorf("names %v, %v", names, err)
	}
}
