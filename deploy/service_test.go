package deploy

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func serviceParameters(more map[string]string) map[string]string {
	given := map[string]string{
		"Image":      "111122223333.dkr.ecr.eu-central-1.amazonaws.com/rootwatch:1.0.0",
		"StreamArn":  testStream,
		"VpcId":      "vpc-0a1b2c3d",
		"SubnetIds":  "subnet-0a1b2c3d,subnet-1a1b2c3d",
		"ScrapeCidr": "10.0.0.0/16",
	}
	maps.Copy(given, more)
	return given
}

const testStream = "arn:aws:kinesis:eu-central-1:111122223333:stream/rootwatch"

func container(s *stack) object {
	return at(s.properties("TaskDefinition"), "ContainerDefinitions", 0).(object)
}

func environment(s *stack) map[string]string {
	variables := map[string]string{}
	for _, v := range container(s)["Environment"].([]any) {
		variables[at(v, "Name").(string)] = at(v, "Value").(string)
	}
	return variables
}

// Fargate kills a task 120 s after SIGTERM at the latest; the worker must have finished by then,
// with room to spare.
func TestStopTimeoutCoversTheWorkersShutdown(t *testing.T) {
	s := deploy(t, "service", serviceParameters(nil))
	stop := time.Duration(container(s)["StopTimeout"].(int)) * time.Second
	shutdown, err := time.ParseDuration(environment(s)["ROOTWATCH_SHUTDOWN_TIMEOUT"])
	if err != nil {
		t.Fatal(err)
	}
	if stop > 120*time.Second || shutdown+5*time.Second > stop {
		t.Errorf("StopTimeout %v, the worker's own %v: want %v + 5s at most, and that at most 120s", stop, shutdown, stop)
	}
}

func TestContainerIsLockedDown(t *testing.T) {
	s := deploy(t, "service", serviceParameters(nil))
	c := container(s)
	want := map[string]any{"ReadonlyRootFilesystem": true, "User": "65532:65532", "Privileged": nil, "Essential": true}
	for key, value := range want {
		if c[key] != value {
			t.Errorf("%s is %v, want %v", key, c[key], value)
		}
	}
	if got := asJSON(t, at(c, "LinuxParameters")); got != `{"Capabilities":{"Drop":["ALL"]}}` {
		t.Errorf("LinuxParameters: %s", got)
	}
	if got := s.properties("Service")["EnableExecuteCommand"]; got != false {
		t.Errorf("EnableExecuteCommand: %v", got)
	}
	if got := asJSON(t, at(c, "HealthCheck", "Command")); got != `["CMD","/rootwatch","healthcheck"]` {
		t.Errorf("HealthCheck: %s", got)
	}
}

// The account's default may drop lines, so the mode is said, and by default none is dropped; a
// buffer is refused with any mode but non-blocking.
func TestLogModeIsExplicit(t *testing.T) {
	for mode, buffer := range map[string]any{"": nil, "non-blocking": "25m", "blocking": nil} {
		given := map[string]string{"LogMode": mode}
		if mode == "" {
			given, mode = nil, "blocking"
		}
		options := at(container(deploy(t, "service", serviceParameters(given))), "LogConfiguration", "Options")
		if at(options, "mode") != mode || at(options, "max-buffer-size") != buffer {
			t.Errorf("%s: %v", mode, options)
		}
	}
}

// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-cpu-memory-error.html: what
// Fargate takes.
func TestTaskSizes(t *testing.T) {
	memories := map[any][]string{"256": {"512", "1024", "2048"}, "512": {"1024", "2048"}, "1024": {"2048", "3072"}}
	for _, size := range []string{"small", "medium", "large"} {
		s := deploy(t, "service", serviceParameters(map[string]string{"TaskSize": size}))
		task := s.properties("TaskDefinition")
		if !slices.Contains(memories[task["Cpu"]], task["Memory"].(string)) {
			t.Errorf("%s: Fargate has no %v CPU units with %v MB", size, task["Cpu"], task["Memory"])
		}
		all, err := strconv.Atoi(task["Memory"].(string))
		if err != nil {
			t.Fatal(err)
		}
		limit, err := strconv.Atoi(strings.TrimSuffix(environment(s)["GOMEMLIMIT"], "MiB"))
		if err != nil || limit > all*9/10 || limit < all/2 {
			t.Errorf("%s: GOMEMLIMIT %v of %v MB (%v)", size, environment(s)["GOMEMLIMIT"], all, err)
		}
	}
	small := deploy(t, "service", serviceParameters(nil)).properties("TaskDefinition")
	if small["Cpu"] != "256" || small["Memory"] != "512" || at(small, "RuntimePlatform", "CpuArchitecture") != "ARM64" {
		t.Errorf("by default: %v", small)
	}
}

func TestOnePortEverywhere(t *testing.T) {
	s := deploy(t, "service", serviceParameters(map[string]string{"ScrapeSecurityGroupId": "sg-0a1b2c3d"}))
	if got := at(container(s), "PortMappings", 0, "ContainerPort"); got != 9844 {
		t.Errorf("container port %v", got)
	}
	if got := environment(s)["ROOTWATCH_WEB_LISTEN_ADDRESS"]; got != ":9844" {
		t.Errorf("listen address %q", got)
	}
	ingress := s.properties("SecurityGroup")["SecurityGroupIngress"].([]any)
	if len(ingress) != 2 {
		t.Fatalf("ingress: %v", ingress)
	}
	for _, rule := range ingress {
		if at(rule, "FromPort") != 9844 || at(rule, "ToPort") != 9844 || at(rule, "IpProtocol") != "tcp" || at(rule, "CidrIp") == "0.0.0.0/0" {
			t.Errorf("ingress: %v", rule)
		}
	}
}

// The task definition gives the worker its settings by the variables of its flags; one that no flag
// has would be ignored in silence.
func TestEnvironmentIsTheWorkersFlags(t *testing.T) {
	flags := workerFlags(t)
	for name := range environment(deploy(t, "service", serviceParameters(nil))) {
		flag, ours := strings.CutPrefix(name, "ROOTWATCH_")
		if ours && !flags[flag] {
			t.Errorf("%s: `rootwatch run` has no such flag", name)
		}
	}
	got := environment(deploy(t, "service", serviceParameters(map[string]string{
		"HeartbeatRegions": "us-east-1,eu-central-1",
	})))
	want := map[string]string{
		"ROOTWATCH_KINESIS_STREAM":      testStream,
		"ROOTWATCH_KINESIS_APPLICATION": "rootwatch",
		"ROOTWATCH_LEDGER_TABLE":        "rootwatch-findings",
		"ROOTWATCH_HEARTBEAT_REGIONS":   "us-east-1,eu-central-1",
		"AWS_REGION":                    testRegion,
	}
	for name, value := range want {
		if got[name] != value {
			t.Errorf("%s is %q, want %q", name, got[name], value)
		}
	}
}

// workerFlags reads the names of the flags out of the command's source, in the form that their
// variables have.
func workerFlags(t *testing.T) map[string]bool {
	t.Helper()
	files, err := filepath.Glob("../cmd/rootwatch/*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("no source of the command: %v", err)
	}
	flags := map[string]bool{}
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?:[fF]lag|setting)\((?:\w+, )?"([a-z.-]+)"`).FindAllStringSubmatch(string(source), -1) {
			flags[strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(m[1]))] = true
		}
	}
	return flags
}

func TestDeploysWithoutAGap(t *testing.T) {
	service := deploy(t, "service", serviceParameters(nil)).properties("Service")
	config := service["DeploymentConfiguration"]
	if at(config, "MinimumHealthyPercent") != 100 || at(config, "MaximumPercent") != 200 || at(config, "DeploymentCircuitBreaker", "Rollback") != true {
		t.Errorf("DeploymentConfiguration: %v", config)
	}
	if service["DesiredCount"] != "2" || service["LaunchType"] != "FARGATE" {
		t.Errorf("%v tasks of %v", service["DesiredCount"], service["LaunchType"])
	}
}

// Prometheus finds the tasks as A records.
func TestDiscovery(t *testing.T) {
	s := deploy(t, "service", serviceParameters(nil))
	if got := at(s.properties("Service"), "ServiceRegistries", 0, "RegistryArn"); got != "att:DiscoveryService.Arn" {
		t.Errorf("registry: %v", got)
	}
	if got := asJSON(t, at(s.properties("DiscoveryService"), "DnsConfig")); got != `{"DnsRecords":[{"TTL":10,"Type":"A"}],"NamespaceId":"ref:Namespace","RoutingPolicy":"MULTIVALUE"}` {
		t.Errorf("DnsConfig: %s", got)
	}
}
