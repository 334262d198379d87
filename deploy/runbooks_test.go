package deploy

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// pages are the runbooks and the README, by path.
func pages(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("runbooks/*.md")
	if err != nil || len(files) < 10 {
		t.Fatalf("runbooks: %v, %v", files, err)
	}
	texts := map[string]string{"README.md": readme(t)}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		texts[file] = string(text)
	}
	return texts
}

// Whoever is woken types what the runbook says: an output that no stack has would stop them at the
// first command.
func TestRunbooksNameTheTemplatesOutputs(t *testing.T) {
	text := pages(t)["runbooks/README.md"]
	found := regexp.MustCompile(`output rootwatch-(\w+)\s+(\w+)`).FindAllStringSubmatch(text, -1)
	if len(found) < 4 {
		t.Fatalf("only %d outputs are used", len(found))
	}
	for _, m := range found {
		if load(t, m[1]).section("Outputs")[m[2]] == nil {
			t.Errorf("%s.yaml has no output %s", m[1], m[2])
		}
	}
}

// A variable that a runbook's command takes is set in the runbooks' README, or in the same page.
func TestRunbooksSetTheirVariables(t *testing.T) {
	texts := pages(t)
	own := regexp.MustCompile(`\$\{?([A-Z_]+)`)
	for file, text := range texts {
		if file == "README.md" {
			continue
		}
		for _, m := range own.FindAllStringSubmatch(text, -1) {
			set := regexp.MustCompile(`(?m)^\s*` + m[1] + `=|\bread -r ` + m[1])
			if !set.MatchString(texts["runbooks/README.md"]) && !set.MatchString(text) {
				t.Errorf("%s: $%s is set nowhere", file, m[1])
			}
		}
	}
}

// Flags that pages tell of are the worker's.
func TestPagesNameTheWorkersFlags(t *testing.T) {
	flags := workerFlags(t)
	upper := strings.NewReplacer(".", "_", "-", "_")
	for file, text := range pages(t) {
		for line := range strings.Lines(text) {
			if strings.Contains(line, "amtool ") {
				continue // it has flags of its own in the same style
			}
			for _, m := range regexp.MustCompile(`--([a-z]+\.[a-z.-]*[a-z])`).FindAllStringSubmatch(line, -1) {
				if !flags[strings.ToUpper(upper.Replace(m[1]))] {
					t.Errorf("%s: `rootwatch run` has no flag --%s", file, m[1])
				}
			}
		}
	}
}

// foreignNames are those of AWS in the style of a parameter.
var foreignNames = []string{
	"AccessDenied", "AccessKeyId", "CannotPullContainerError", "ConditionalCheckFailed", "FailedInvocations", "GetFederationToken",
	"GetItem", "GetSessionToken", "Invocations", "KMS", "MatchedEvents", "OutOfMemoryError", "ProvisionedThroughputExceeded", "PutEvents", "PutRecord", "PutRule",
	"ResourceNotFound", "ThrottlingException", "UpdateItem", "Username",
}

// A name in the style of a parameter is a parameter or an output of a stack, an alert, or AWS's.
func TestRunbooksNameTheTemplatesParameters(t *testing.T) {
	known := slices.Clone(foreignNames)
	for _, name := range templates {
		for _, section := range []string{"Parameters", "Outputs"} {
			for key := range load(t, name).section(section) {
				known = append(known, key)
			}
		}
	}
	texts := pages(t)
	for file, text := range texts {
		if file == "README.md" {
			continue
		}
		for _, m := range regexp.MustCompile("`([A-Z][A-Za-z]+)(?:=[^`]*)?`").FindAllStringSubmatch(text, -1) {
			_, alert := texts["runbooks/"+m[1]+".md"]
			if !alert && !slices.Contains(known, m[1]) {
				t.Errorf("%s: no stack has the parameter or output %s", file, m[1])
			}
		}
	}
}
