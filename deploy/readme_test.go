package deploy

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func readme(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// commands are the shell commands of the README's fenced blocks, continuation lines joined.
func commands(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(readme(t), -1) {
		all = append(all, strings.Split(strings.ReplaceAll(block[1], "\\\n", " "), "\n")...)
	}
	return all
}

// A command that deploys a template names parameters that the template has, and at its first run
// all that have no default.
func TestReadmeNamesTheTemplatesParameters(t *testing.T) {
	deployments := map[string]int{}
	for _, command := range commands(t) {
		m := regexp.MustCompile(`cloudformation (deploy|create-stack-set|update-stack-set)\b`).FindStringSubmatch(command)
		if m == nil {
			continue
		}
		name := "forwarder" // update-stack-set with the previous template
		if file := regexp.MustCompile(`cloudformation/(\w+)\.yaml`).FindStringSubmatch(command); file != nil {
			name = file[1]
		}
		declared := load(t, name).section("Parameters")
		var given []string
		for _, p := range regexp.MustCompile(`ParameterKey=(\w+)|\s([A-Z]\w+)=["$a-z]`).FindAllStringSubmatch(command, -1) {
			given = append(given, p[1]+p[2])
		}
		for _, parameter := range given {
			// Options of the command itself are written in the same way.
			option := slices.Contains([]string{"Enabled", "OrganizationalUnitIds", "RegionConcurrencyType"}, parameter)
			if declared[parameter] == nil && !option {
				t.Errorf("%s.yaml has no parameter %s: %s", name, parameter, command)
			}
		}
		first := deployments[name] == 0
		deployments[name]++
		for parameter, declaration := range declared {
			if first && at(declaration, "Default") == nil && !slices.Contains(given, parameter) {
				t.Errorf("%s has no default and is not given: %s", parameter, command)
			}
			// What update-stack-set does not name falls back to the default.
			if m[1] == "update-stack-set" && !slices.Contains(given, parameter) {
				t.Errorf("%s is not named, so it would be reset: %s", parameter, command)
			}
		}
	}
	for _, name := range templates {
		if deployments[name] == 0 {
			t.Errorf("no command deploys %s.yaml", name)
		}
	}
}

// output STACK NAME, and the outputs that the text speaks of, are there.
func TestReadmeNamesTheTemplatesOutputs(t *testing.T) {
	found := regexp.MustCompile(`output rootwatch-(\w+)\s+(\w+)`).FindAllStringSubmatch(readme(t), -1)
	if len(found) < 5 {
		t.Fatalf("only %d outputs are used", len(found))
	}
	for _, m := range found {
		if load(t, m[1]).section("Outputs")[m[2]] == nil {
			t.Errorf("%s.yaml has no output %s", m[1], m[2])
		}
	}
}

// The forged event is one that the central bus takes and counts: if its rule did not match, the
// test of the path would show nothing.
func TestReadmesForgedEventIsCounted(t *testing.T) {
	m := regexp.MustCompile("(?s)cat > forged.json <<'END'\n(.*?)\nEND\n").FindStringSubmatch(readme(t))
	if m == nil {
		t.Fatal("the README has no forged event")
	}
	entry := fromJSON(t, m[1]).([]any)[0].(object)
	source := entry["Source"].(string)
	if strings.HasPrefix(source, "aws.") {
		t.Errorf("source %s: EventBridge refuses it", source)
	}
	event := object{
		"source": source, "detail-type": entry["DetailType"], "account": testAccount, "region": testRegion,
		"detail": fromJSON(t, entry["Detail"].(string)),
	}
	if got := matchedBy(t, deploy(t, "central", nil), asJSON(t, event)); got != "ForeignSourceRule" {
		t.Errorf("matched by %q", got)
	}
	// A real call of the same content would reach the stream, so that it is the source that is
	// refused.
	event["source"] = "aws.iam"
	if got := matchedBy(t, deploy(t, "central", nil), asJSON(t, event)); got != "CloudTrailRule" {
		t.Errorf("as AWS's own, matched by %q", got)
	}
}

// Files that the README points to are there.
func TestReadmesLinks(t *testing.T) {
	links := regexp.MustCompile(`\]\(([^)#:]+)\)`).FindAllStringSubmatch(readme(t), -1)
	if len(links) < 5 {
		t.Fatalf("only %d links", len(links))
	}
	for _, link := range links {
		if _, err := os.Stat(filepath.FromSlash(link[1])); err != nil {
			t.Error(err)
		}
	}
}

// Terraform hands a StackSet all parameters or never comes to rest; the other stacks take their
// defaults.
func TestTerraformNamesTheTemplatesParameters(t *testing.T) {
	text, err := os.ReadFile("terraform/main.tf")
	if err != nil {
		t.Fatal(err)
	}
	blocks := map[string]string{
		"central":   `(?s)"aws_cloudformation_stack" "central".*?parameters = \{(.*?)\n  \}`,
		"forwarder": `(?s)forwarder = \{(.*?)\n  \}`,
		"service":   `(?s)"aws_cloudformation_stack" "service".*?parameters = \{(.*?)\n  \}`,
	}
	for name, pattern := range blocks {
		block := regexp.MustCompile(pattern).FindStringSubmatch(string(text))
		if block == nil {
			t.Fatalf("no parameters for %s", name)
		}
		var given []string
		for _, m := range regexp.MustCompile(`(?m)^\s+([A-Z]\w+)\s+=`).FindAllStringSubmatch(block[1], -1) {
			given = append(given, m[1])
		}
		declared := load(t, name).section("Parameters")
		for _, parameter := range given {
			if declared[parameter] == nil {
				t.Errorf("%s.yaml has no parameter %s", name, parameter)
			}
		}
		for parameter, declaration := range declared {
			if (name == "forwarder" || at(declaration, "Default") == nil) && !slices.Contains(given, parameter) {
				t.Errorf("%s: %s is not given", name, parameter)
			}
		}
	}
	for _, m := range regexp.MustCompile(`aws_cloudformation_stack\.(\w+)\.outputs\["(\w+)"\]`).FindAllStringSubmatch(string(text), -1) {
		if load(t, m[1]).section("Outputs")[m[2]] == nil {
			t.Errorf("%s.yaml has no output %s", m[1], m[2])
		}
	}
}
