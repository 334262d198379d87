package check

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"go.yaml.in/yaml/v3"
)

const file = "../../compose.yaml"

// load reads the file as `docker compose config` would: against the schema, with references
// resolved.
func load(t *testing.T) *types.Project {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{file})
	if err != nil {
		t.Fatal(err)
	}
	project, err := options.LoadProject(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return project
}

func TestComposeStartsWhatTheReadmePromises(t *testing.T) {
	project := load(t)
	for _, name := range []string{"rootwatch", "prometheus", "alertmanager", "grafana"} {
		if _, err := project.GetService(name); err != nil {
			t.Error(err)
		}
	}
}

func TestPortsAreOpenToThisMachineAlone(t *testing.T) {
	for name, service := range load(t).Services {
		if len(service.Ports) == 0 {
			t.Errorf("%s: no port to look at", name)
		}
		for _, port := range service.Ports {
			if port.HostIP != "127.0.0.1" {
				t.Errorf("%s: port %s is bound to %q", name, port.Published, port.HostIP)
			}
		}
		if service.NetworkMode == "host" || service.Privileged {
			t.Errorf("%s: is not confined", name)
		}
	}
}

func TestImagesAreOfOneVersion(t *testing.T) {
	for name, service := range load(t).Services {
		if service.Build != nil {
			if _, err := os.Stat(filepath.Join(service.Build.Context, "Dockerfile")); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		_, tag, found := strings.Cut(service.Image, ":")
		if !found || tag == "latest" || strings.Count(tag, ".") != 2 {
			t.Errorf("%s: image %s names no full version", name, service.Image)
		}
	}
}

func TestEveryServiceCanSayThatItIsWell(t *testing.T) {
	project := load(t)
	for name, service := range project.Services {
		if service.HealthCheck == nil || len(service.HealthCheck.Test) < 2 || service.HealthCheck.Test[0] != "CMD" {
			t.Errorf("%s: no health check that works without a shell", name)
		}
		for other, how := range service.DependsOn {
			if how.Condition != types.ServiceConditionHealthy {
				t.Errorf("%s waits for %s to be %s, not healthy", name, other, how.Condition)
			}
		}
	}
}

func TestMountedFilesAreThere(t *testing.T) {
	for name, service := range load(t).Services {
		for _, volume := range service.Volumes {
			if volume.Type != types.VolumeTypeBind {
				continue
			}
			if _, err := os.Stat(volume.Source); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if !volume.ReadOnly {
				t.Errorf("%s: %s may be written to", name, volume.Source)
			}
		}
	}
}

// What the files inside name must be what compose.yaml calls it: a rename in one of them fails
// here, not on the machine of somebody who tries it.
func TestFilesInsideAgreeWithCompose(t *testing.T) {
	project := load(t)
	mounted := func(service, target string) bool {
		for _, volume := range project.Services[service].Volumes {
			if target == volume.Target || strings.HasPrefix(target, volume.Target+"/") {
				return true
			}
		}
		return false
	}

	var prometheus struct {
		RuleFiles     []string `yaml:"rule_files"`
		ScrapeConfigs []struct {
			JobName       string   `yaml:"job_name"`
			StaticConfigs []static `yaml:"static_configs"`
		} `yaml:"scrape_configs"`
		Alerting struct {
			Alertmanagers []struct {
				StaticConfigs []static `yaml:"static_configs"`
			}
		}
	}
	read(t, "../prometheus.yml", &prometheus)
	for _, rules := range prometheus.RuleFiles {
		if !mounted("prometheus", filepath.Join("/etc/prometheus", rules)) {
			t.Errorf("prometheus: %s is not mounted", rules)
		}
	}
	var targets []string
	for _, scrape := range prometheus.ScrapeConfigs {
		if scrape.JobName != "rootwatch" {
			t.Errorf("prometheus: job %q, but rules and dashboard ask for rootwatch", scrape.JobName)
		}
		for _, c := range scrape.StaticConfigs {
			targets = append(targets, c.Targets...)
		}
	}
	for _, a := range prometheus.Alerting.Alertmanagers {
		for _, c := range a.StaticConfigs {
			targets = append(targets, c.Targets...)
		}
	}
	if len(targets) != 2 {
		t.Errorf("prometheus: targets %v, want rootwatch and alertmanager", targets)
	}
	for _, target := range targets {
		reachable(t, project, target)
	}

	reachable(t, project, strings.TrimPrefix(*project.Services["grafana"].Environment["PROMETHEUS_URL"], "http://"))
	var dashboards struct {
		Providers []struct{ Options struct{ Path string } }
	}
	read(t, "../../grafana/provisioning/dashboards/rootwatch.yml", &dashboards)
	for _, provider := range dashboards.Providers {
		if !mounted("grafana", filepath.Join(provider.Options.Path, "rootwatch.json")) {
			t.Errorf("grafana: no dashboard is mounted in %s", provider.Options.Path)
		}
	}
	var datasources struct{ Datasources []struct{ URL string } }
	read(t, "../../grafana/provisioning/datasources/rootwatch.yml", &datasources)
	if len(datasources.Datasources) != 1 || datasources.Datasources[0].URL != "$PROMETHEUS_URL" {
		t.Errorf("grafana: data sources %v, want the one of PROMETHEUS_URL", datasources.Datasources)
	}
}

type static struct {
	Targets []string
}

// reachable checks that host:port is a service and a port that it listens on.
func reachable(t *testing.T, project *types.Project, address string) {
	t.Helper()
	host, port, _ := strings.Cut(address, ":")
	for _, p := range project.Services[host].Ports {
		if p.Published == port {
			return
		}
	}
	t.Errorf("%s is no service's address", address)
}

func read(t *testing.T, name string, into any) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}
