package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const architecture = "ARCHITECTURE.md"

var root = filepath.Join("..", "..")

// packageRow is a package in the list of ARCHITECTURE.md: "- `folder` — what it is".
var packageRow = regexp.MustCompile("(?m)^- `([^`]+)` — \\S")

// pathNamed is a path of the tree, or a link to one, wherever it is named.
var pathNamed = regexp.MustCompile("`((?:classify|cmd|deploy|pipeline)(?:/[^` ]*)?)`|\\]\\(([^)#:]+)\\)")

// testNamed is a test, wherever it is named.
var testNamed = regexp.MustCompile("`(Test[A-Z][A-Za-z]*)`")

// alertNamed is an alert, wherever it is named.
var alertNamed = regexp.MustCompile("`(Root(?:Call|watch)[A-Z][A-Za-z]*|Watchdog)`")

// matches are the names in a text, each once.
func matches(pattern *regexp.Regexp, text string) (names []string) {
	for _, m := range pattern.FindAllStringSubmatch(text, -1) {
		names = append(names, strings.Join(m[1:], ""))
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// lacking are those of some that others do not have.
func lacking(some, others []string) (names []string) {
	for _, name := range some {
		if !slices.Contains(others, name) {
			names = append(names, name)
		}
	}
	return names
}

// tree is what the repository has, other modules in it included.
type tree struct {
	packages []string // folders with Go files, whatever their build tags
	paths    []string // files and folders
	tests    []string // names of the tests in Go files
}

func readTree(t *testing.T) (found tree) {
	t.Helper()
	tests := regexp.MustCompile(`(?m)^func (Test[A-Z][A-Za-z]*)\(`)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != root && (d.Name() == "node_modules" || d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".")) {
			return fs.SkipDir
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		found.paths = append(found.paths, name)
		if d.IsDir() || !strings.HasSuffix(name, ".go") {
			return nil
		}
		if folder := filepath.ToSlash(filepath.Dir(name)); !slices.Contains(found.packages, folder) {
			found.packages = append(found.packages, folder)
		}
		if strings.HasSuffix(name, "_test.go") {
			source, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			found.tests = append(found.tests, matches(tests, string(source))...)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestArchitectureNamesEveryPackageAndNothingThatDoesNotExist(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(root, architecture))
	if err != nil {
		t.Fatal(err)
	}
	rules, err := os.ReadFile(filepath.Join(root, "deploy", "prometheus", "rootwatch.rules.yml"))
	if err != nil {
		t.Fatal(err)
	}
	alerts := matches(regexp.MustCompile(`(?m)^\s*- alert: (\S+)$`), string(rules))
	text, there := string(page), readTree(t)
	rows := matches(packageRow, text)
	if len(there.packages) < 30 || len(matches(pathNamed, text)) < 50 || len(matches(testNamed, text)) == 0 || len(matches(alertNamed, text)) == 0 {
		t.Fatalf("%d packages, %d paths, %d tests and %d alerts were found: the test looks in the wrong place",
			len(there.packages), len(matches(pathNamed, text)), len(matches(testNamed, text)), len(matches(alertNamed, text)))
	}
	for what, names := range map[string][]string{
		"a package has no row":             lacking(there.packages, rows),
		"a row has no package":             lacking(rows, there.packages),
		"a file or folder does not exist":  lacking(matches(pathNamed, text), there.paths),
		"a test of that name is not there": lacking(matches(testNamed, text), there.tests),
		"no rule has an alert":             lacking(matches(alertNamed, text), alerts),
	} {
		if len(names) > 0 {
			t.Errorf("%s: %s: %s", architecture, what, strings.Join(names, ", "))
		}
	}
	if n := len(packageRow.FindAllString(text, -1)); n != len(rows) {
		t.Errorf("%s has %d rows for %d packages", architecture, n, len(rows))
	}
}

func TestArchitecturesNamesAreFound(t *testing.T) {
	text := "- `pipeline/scan` — finds without decoding\n" +
		"in `classify/rules.go` and [a file](cmd/rootwatch/main.go), `TestReasons` and `rootwatch run`, `RootwatchDown`, `Done`, `--flag`, [AWS](https://example.com)\n" +
		"- **in bold** — no row\n"
	for name, tt := range map[string]struct {
		pattern *regexp.Regexp
		want    []string
	}{
		"rows":   {packageRow, []string{"pipeline/scan"}},
		"paths":  {pathNamed, []string{"classify/rules.go", "cmd/rootwatch/main.go", "pipeline/scan"}},
		"tests":  {testNamed, []string{"TestReasons"}},
		"alerts": {alertNamed, []string{"RootwatchDown"}},
	} {
		if got := matches(tt.pattern, text); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
	if got := lacking([]string{"there", "gone"}, []string{"there"}); !slices.Equal(got, []string{"gone"}) {
		t.Errorf("lacking are %q, want gone alone", got)
	}
}

// fileNamed is a Go file, named without a folder.
var fileNamed = regexp.MustCompile(`(?:^|[\s(,])([a-z_]+\.go)\b`)

// A package comment that names some of the files hides the others: it names all or none.
func TestPackageCommentsNameAllTheirFilesOrNone(t *testing.T) {
	comments := 0
	for _, r := range mayImport {
		folder := filepath.Join(root, filepath.FromSlash(r.name))
		paths, err := filepath.Glob(filepath.Join(folder, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		var files []string
		comment := ""
		for _, path := range paths {
			name := filepath.Base(path)
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			if name != "doc.go" {
				files = append(files, name)
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.PackageClauseOnly|parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			comment += file.Doc.Text()
		}
		if len(files) == 0 {
			continue // tests alone
		}
		if comment == "" {
			t.Errorf("%s has no package comment", r.name)
		}
		comments++
		named := matches(fileNamed, comment)
		if len(named) == 0 {
			continue
		}
		if names := lacking(files, named); len(names) > 0 {
			t.Errorf("the package comment of %s names some of its files, but not %s", r.name, strings.Join(names, ", "))
		}
		if names := lacking(named, files); len(names) > 0 {
			t.Errorf("the package comment of %s names what is not there: %s", r.name, strings.Join(names, ", "))
		}
	}
	if comments < 25 {
		t.Errorf("only %d package comments were found", comments)
	}
}
