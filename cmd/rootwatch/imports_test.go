package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// mayImport are the directions in which the packages of this module know each other: a package, and
// those that it may import. Every package has its row (a row may be there before its package), and
// imports only what stands above it: nothing points back. classify knows CloudTrail and nothing
// else; sources and sinks meet where a program is put together, and nothing but the program knows
// the command line.
var mayImport = []row{
	{"classify/plain", ""},
	{"classify", "classify/plain"},
	{"classify/benchmark", "classify"},

	// The pipeline.
	{"pipeline/scan", "classify"},
	{"pipeline/scan/scantest", ""},
	{"pipeline/envelope", "classify classify/plain pipeline/scan"},
	{"pipeline/envelope/envelopetest", "pipeline/envelope"},
	{"pipeline/retry", ""},
	{"pipeline", "classify classify/plain pipeline/envelope pipeline/retry pipeline/scan"},

	// What operators write: the names of accounts, and what is planned.
	{"pipeline/reload", ""},
	{"pipeline/yamlfile", "classify/plain"},
	{"pipeline/policy", "classify pipeline/yamlfile"},
	{"pipeline/accounts", "classify pipeline pipeline/yamlfile"},

	// What stands in for AWS, and its traffic: for tests and the demo.
	{"pipeline/cloudtrailtest", "classify"},
	{"pipeline/awstest/wire", ""},
	{"pipeline/awstest/expr", "pipeline/awstest/wire"},
	{"pipeline/awstest/tables", "pipeline/awstest/expr pipeline/awstest/wire"},
	{"pipeline/awstest/streams", "pipeline/awstest/wire"},
	{"pipeline/awstest", "pipeline/awstest/streams pipeline/awstest/tables pipeline/awstest/wire"},

	// The stream, and what outlives a process.
	{"pipeline/awserr", "pipeline/retry"},
	{"pipeline/awsclient", "pipeline/awserr"},
	{"pipeline/dynamo", "pipeline/awserr pipeline/retry"},
	{"pipeline/ledger", "classify pipeline pipeline/awsclient pipeline/awserr pipeline/dynamo pipeline/retry"},
	{"pipeline/kinesis/metrics", ""},
	{"pipeline/kinesis/streamtest", "pipeline/awstest pipeline/dynamo pipeline/retry"},
	{"pipeline/kinesis/lease", "pipeline/awserr pipeline/dynamo pipeline/kinesis/metrics pipeline/retry"},
	{"pipeline/kinesis/fetch", "pipeline/awserr pipeline/kinesis/lease pipeline/kinesis/metrics pipeline/retry"},
	{"pipeline/kinesis/kcl", "pipeline/awserr pipeline/dynamo pipeline/kinesis/fetch pipeline/kinesis/lease pipeline/kinesis/metrics pipeline/retry"},
	{"pipeline/kinesis", "pipeline pipeline/awsclient pipeline/awserr pipeline/dynamo pipeline/kinesis/fetch pipeline/kinesis/kcl pipeline/kinesis/lease pipeline/kinesis/metrics pipeline/retry"},

	// Files, and the answer to a question about them.
	{"pipeline/coverage", "pipeline"},
	{"pipeline/archive", "classify pipeline pipeline/coverage pipeline/scan"},
	{"pipeline/report", "classify classify/plain pipeline pipeline/coverage"},
	{"pipeline/review", "classify/plain pipeline pipeline/archive pipeline/coverage pipeline/report"},

	{"cmd/rootwatch", "classify classify/plain pipeline pipeline/accounts pipeline/archive pipeline/awserr pipeline/awstest pipeline/cloudtrailtest pipeline/coverage " +
		"pipeline/dynamo pipeline/kinesis pipeline/kinesis/lease pipeline/ledger pipeline/policy pipeline/reload pipeline/report pipeline/retry pipeline/review pipeline/yamlfile"},
	{"deploy", ""},
	{"deploy/e2e", ""},
}

// testsMayImport is what the tests of a package may import besides the package and what that may
// import: what stands in for something, and what a test of several packages takes together.
var testsMayImport = []row{
	{"pipeline/scan", "pipeline/scan/scantest"},
	{"pipeline/envelope", "pipeline/envelope/envelopetest pipeline/scan/scantest"},
	{"pipeline", "pipeline/envelope/envelopetest pipeline/scan/scantest"},
	{"pipeline/awsclient", "pipeline/awstest"},
	{"pipeline/dynamo", "pipeline/awstest"},
	{"pipeline/ledger", "pipeline/awstest"},
	{"pipeline/kinesis/lease", "pipeline/awstest pipeline/kinesis/streamtest"},
	{"pipeline/kinesis/fetch", "pipeline/awstest pipeline/kinesis/streamtest"},
	{"pipeline/kinesis/kcl", "pipeline/awstest pipeline/kinesis/streamtest"},
	{"pipeline/kinesis", "pipeline/awstest pipeline/kinesis/streamtest"},
	{"pipeline/archive", "pipeline/scan/scantest"},
	{"deploy", "classify pipeline pipeline/awstest pipeline/kinesis pipeline/ledger pipeline/scan"},
	{"deploy/e2e", "classify pipeline/awstest pipeline/cloudtrailtest"},
}

// fromOutside is what comes from other modules and belongs in few hands, by the beginning of its
// path, and the packages whose hands these are. Tests take what they need.
var fromOutside = []row{
	{"github.com/alecthomas/", "cmd/rootwatch"},
	{"github.com/oklog/run", "cmd/rootwatch"},
	{"golang.org/x/net/", "cmd/rootwatch"},
	{"github.com/vmware/vmware-go-kcl-v2/", "pipeline/kinesis pipeline/kinesis/kcl"},
	{"github.com/sirupsen/logrus", "pipeline/kinesis pipeline/kinesis/kcl"},
	{"github.com/aws/", "cmd/rootwatch pipeline/awsclient pipeline/awserr pipeline/awstest pipeline/dynamo pipeline/ledger pipeline/kinesis pipeline/kinesis/fetch pipeline/kinesis/kcl " +
		"pipeline/kinesis/lease pipeline/kinesis/streamtest pipeline/retry"},
	{"go.yaml.in/yaml/", "cmd/rootwatch pipeline/accounts pipeline/policy pipeline/yamlfile"},
	{"github.com/prometheus/", "cmd/rootwatch pipeline pipeline/ledger pipeline/reload pipeline/kinesis pipeline/kinesis/fetch pipeline/kinesis/kcl pipeline/kinesis/lease pipeline/kinesis/metrics"},
}

// standardLibraryAlone are the packages that import nothing from other modules.
var standardLibraryAlone = strings.Fields("classify classify/plain pipeline/coverage pipeline/envelope pipeline/scan pipeline/review")

// row is something, and the packages that go with it, with blanks between.
type row struct{ name, packages string }

func (r row) has(pkg string) bool { return slices.Contains(strings.Fields(r.packages), pkg) }

// rowOf is the row of a name, or an empty one.
func rowOf(rows []row, name string) (r row, found bool) {
	i := slices.IndexFunc(rows, func(r row) bool { return r.name == name })
	if i < 0 {
		return row{}, false
	}
	return rows[i], true
}

const module = "rootwatch/"

// importOf is one import as it stands in a file.
type importOf struct {
	file string
	from string // the package, without the module
	path string
	test bool
}

// allImports are those of all Go files of the module, whatever their build tags.
func allImports(t *testing.T) (all []importOf) {
	t.Helper()
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			_, err := os.Stat(filepath.Join(path, "go.mod")) // another module
			if path != root && (err == nil || d.Name() == "node_modules" || d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".")) {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		from := filepath.ToSlash(filepath.Dir(name))
		for _, spec := range file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			all = append(all, importOf{file: name, from: from, path: imported, test: strings.HasSuffix(path, "_test.go")})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// refusal is why an import is not allowed, "" if it is.
func refusal(i importOf) string {
	own, inside := strings.CutPrefix(i.path, module)
	allowed, known := rowOf(mayImport, i.from)
	switch {
	case !known:
		return "the package has no row in mayImport"
	case inside && allowed.has(own):
		return ""
	case inside && i.test:
		if extra, _ := rowOf(testsMayImport, i.from); own == i.from || extra.has(own) {
			return ""
		}
		return "neither mayImport nor testsMayImport has it in the package's row"
	case inside:
		return "mayImport does not have it in the package's row"
	case i.test:
		return ""
	}
	for _, r := range fromOutside {
		if strings.HasPrefix(i.path, r.name) && !r.has(i.from) {
			return "fromOutside leaves it to " + r.packages
		}
	}
	if host, _, _ := strings.Cut(i.path, "/"); strings.Contains(host, ".") && slices.Contains(standardLibraryAlone, i.from) {
		return "the package is one of standardLibraryAlone"
	}
	return ""
}

func TestPackagesImportInOneDirection(t *testing.T) {
	imports := allImports(t)
	if len(imports) < 500 {
		t.Fatalf("only %d imports were found: the test looks in the wrong place", len(imports))
	}
	for _, i := range imports {
		if why := refusal(i); why != "" {
			t.Errorf("%s imports %s: %s", i.file, i.path, why)
		}
	}
}

func TestRowsOfImportsPointUpwards(t *testing.T) {
	var above []string
	for _, r := range mayImport {
		for _, imported := range strings.Fields(r.packages) {
			if !slices.Contains(above, imported) {
				t.Errorf("%s may import %s, whose row is not above it", r.name, imported)
			}
		}
		if slices.Contains(above, r.name) {
			t.Errorf("%s has two rows", r.name)
		}
		above = append(above, r.name)
	}
	for _, r := range testsMayImport {
		for _, name := range append(strings.Fields(r.packages), r.name) {
			if !slices.Contains(above, name) {
				t.Errorf("testsMayImport names %s, which mayImport does not know", name)
			}
		}
	}
}

func TestImportsThatPointBackAreRefused(t *testing.T) {
	for name, i := range map[string]importOf{
		"a stage that knows a source":         {from: "pipeline", path: module + "pipeline/kinesis"},
		"a source that knows a sink":          {from: "pipeline/archive", path: module + "pipeline/report"},
		"rules that know the pipeline":        {from: "classify", path: module + "pipeline"},
		"rules that log":                      {from: "classify", path: "github.com/sirupsen/logrus"},
		"rules with another module":           {from: "classify", path: "golang.org/x/sync/errgroup"},
		"a source that parses flags":          {from: "pipeline/kinesis", path: "github.com/alecthomas/kingpin/v2"},
		"a ledger that knows the KCL":         {from: "pipeline/ledger", path: "github.com/vmware/vmware-go-kcl-v2/logger"},
		"a double in the program of a source": {from: "pipeline/kinesis", path: module + "pipeline/awstest"},
		"a test of rules with a stream":       {from: "classify", path: module + "pipeline/awstest", test: true},
		"a package without a row":             {from: "pipeline/util", path: "strings"},
	} {
		if refusal(i) == "" {
			t.Errorf("%s is allowed", name)
		}
	}
	for name, i := range map[string]importOf{
		"a double in a source's test":      {from: "pipeline/kinesis", path: module + "pipeline/awstest", test: true},
		"the package in its own test":      {from: "classify", path: module + "classify", test: true},
		"another module in a test":         {from: "classify", path: "github.com/google/go-cmp/cmp", test: true},
		"the standard library in rules":    {from: "classify", path: "net/netip"},
		"flags on the command line's side": {from: "cmd/rootwatch", path: "github.com/alecthomas/kingpin/v2"},
	} {
		if why := refusal(i); why != "" {
			t.Errorf("%s is refused: %s", name, why)
		}
	}
}
