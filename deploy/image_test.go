package deploy

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// instruction is one of a Dockerfile: FROM, COPY …, with what follows it on one line.
type instruction struct{ name, rest string }

// stages are a Dockerfile's instructions, a list for each FROM.
func stages(t *testing.T) [][]instruction {
	t.Helper()
	text, err := os.ReadFile("../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	var all [][]instruction
	for line := range strings.SplitSeq(strings.ReplaceAll(string(text), "\\\n", " "), "\n") {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, rest, _ := strings.Cut(line, " ")
		if name == "FROM" {
			all = append(all, nil)
		} else if len(all) == 0 {
			t.Fatalf("%s before FROM", name)
		}
		all[len(all)-1] = append(all[len(all)-1], instruction{name, strings.Join(strings.Fields(rest), " ")})
	}
	if len(all) != 2 {
		t.Fatalf("%d stages, want 2", len(all))
	}
	return all
}

func find(stage []instruction, name string) []string {
	var found []string
	for _, i := range stage {
		if i.name == name {
			found = append(found, i.rest)
		}
	}
	return found
}

func TestImageHoldsTheBinaryAndTheCertificatesAlone(t *testing.T) {
	final := stages(t)[1]
	copies := strings.Join(find(final, "COPY"), "\n")
	want := "--from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt\n--from=build /out/rootwatch /rootwatch"
	if copies != want {
		t.Errorf("COPY:\n%s\nwant\n%s", copies, want)
	}
	for name, want := range map[string]string{"FROM": "scratch", "ENTRYPOINT": `["/rootwatch"]`, "CMD": `["run"]`, "EXPOSE": "9844"} {
		if got := find(final, name); len(got) != 1 || got[0] != want {
			t.Errorf("%s: %v, want %s", name, got, want)
		}
	}
	if ran := append(find(final, "RUN"), find(final, "ADD")...); len(ran) != 0 {
		t.Errorf("the image has no shell to run %v", ran)
	}
}

// The service runs the image as the user that it names itself.
func TestImageUserIsTheTasksUser(t *testing.T) {
	task := container(deploy(t, "service", serviceParameters(nil)))["User"]
	if got := find(stages(t)[1], "USER"); len(got) != 1 || got[0] != task {
		t.Errorf("USER %v, the task's is %v", got, task)
	}
}

func TestBuildStage(t *testing.T) {
	build := stages(t)[0]
	if from := find(build, "FROM")[0]; !regexp.MustCompile(`^--platform=\$BUILDPLATFORM golang:1\.\d+\.\d+-\w+ AS build$`).MatchString(from) {
		t.Errorf("FROM %s: want golang at a full version, on the builder's own platform", from)
	}
	image := regexp.MustCompile(`golang:(1\.\d+)`).FindStringSubmatch(find(build, "FROM")[0])[1]
	module, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(module), "\ngo "+image+".") {
		t.Errorf("the image has Go %s, go.mod wants another", image)
	}
	runs := find(build, "RUN")
	if len(runs) != 2 || runs[0] != "go mod download" {
		t.Fatalf("RUN: %q", runs)
	}
	for _, part := range []string{
		"CGO_ENABLED=0", `GOARCH="${TARGETARCH}"`, "-trimpath", "-o /out/rootwatch ./cmd/rootwatch",
		"-X github.com/prometheus/common/version.Version=${VERSION}", "-X github.com/prometheus/common/version.Revision=${REVISION}",
	} {
		if !strings.Contains(runs[1], part) {
			t.Errorf("the build lacks %s", part)
		}
	}
	// A source file must not cost the modules' layer.
	if first := find(build, "COPY")[0]; first != "go.mod go.sum ./" {
		t.Errorf("first COPY: %s", first)
	}
}

// What is copied must be sent to the builder, and nothing that is not copied.
func TestBuildContext(t *testing.T) {
	text, err := os.ReadFile("../.dockerignore")
	if err != nil {
		t.Fatal(err)
	}
	sent := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "!"); ok {
			sent[name] = true
		}
	}
	if !strings.Contains(string(text), "\n*\n") {
		t.Error(".dockerignore does not begin by leaving everything out")
	}
	for _, rest := range find(stages(t)[0], "COPY") {
		fields := strings.Fields(rest)
		for _, source := range fields[:len(fields)-1] {
			name := strings.TrimSuffix(source, "/")
			if !sent[name] {
				t.Errorf("%s is copied and not sent", name)
			}
			if _, err := os.Stat("../" + name); err != nil {
				t.Errorf("%s is copied and not there", name)
			}
			delete(sent, name)
		}
	}
	for name := range sent {
		t.Errorf("%s is sent and not copied", name)
	}
}
