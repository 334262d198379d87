package deploy

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// template is a CloudFormation template with its intrinsic functions in their long form.
type template map[string]any

// object is a YAML mapping.
type object = map[string]any

// The pseudo parameters of the stacks that the tests deploy.
const (
	testAccount = "111122223333"
	testRegion  = "eu-central-1"
)

// absent stands for a value that !Ref AWS::NoValue takes away.
type absent struct{}

// load reads deploy/cloudformation/<name>.yaml.
func load(t *testing.T, name string) template {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("cloudformation", name+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var root yaml.Node
	if err := yaml.Unmarshal(text, &root); err != nil {
		t.Fatalf("%s.yaml: %v", name, err)
	}
	return template(fromNode(t, root.Content[0]).(object))
}

// fromNode turns a node into plain values, and a tag such as !GetAtt into {"Fn::GetAtt": …}.
func fromNode(t *testing.T, n *yaml.Node) any {
	t.Helper()
	var value any
	switch n.Kind {
	case yaml.MappingNode:
		m := object{}
		for i := 0; i < len(n.Content); i += 2 {
			m[n.Content[i].Value] = fromNode(t, n.Content[i+1])
		}
		value = m
	case yaml.SequenceNode:
		list := []any{}
		for _, item := range n.Content {
			list = append(list, fromNode(t, item))
		}
		value = list
	case yaml.ScalarNode:
		value = n.Value
		if !isFunctionTag(n.Tag) {
			if err := n.Decode(&value); err != nil {
				t.Fatalf("line %d: %v", n.Line, err)
			}
		}
	default:
		t.Fatalf("line %d: aliases and anchors are refused by CloudFormation", n.Line)
	}
	if !isFunctionTag(n.Tag) {
		return value
	}
	switch name := strings.TrimPrefix(n.Tag, "!"); {
	case name == "Ref" || name == "Condition":
		return object{name: value}
	case name == "GetAtt" && n.Kind == yaml.ScalarNode:
		resource, attribute, _ := strings.Cut(n.Value, ".")
		return object{"Fn::GetAtt": []any{resource, attribute}}
	default:
		return object{"Fn::" + name: value}
	}
}

func isFunctionTag(tag string) bool {
	return strings.HasPrefix(tag, "!") && !strings.HasPrefix(tag, "!!")
}

// stack is a template as it would be deployed with certain parameters: the resources that are made,
// by logical id.
type stack struct {
	t          *testing.T
	template   template
	parameters map[string]any
	resources  map[string]object // evaluated, without those whose condition does not hold
}

// deploy evaluates a template as CloudFormation does before it makes anything. Parameters that are
// not given have their defaults; a value that the template would refuse fails the test.
func deploy(t *testing.T, name string, given map[string]string) *stack {
	t.Helper()
	s := &stack{t: t, template: load(t, name), parameters: map[string]any{}, resources: map[string]object{}}
	declared := s.template.section("Parameters")
	for key := range given {
		if declared[key] == nil {
			t.Fatalf("%s.yaml has no parameter %s", name, key)
		}
	}
	for key, declaration := range declared {
		s.parameters[key] = s.parameter(key, declaration.(object), given)
	}
	for id, r := range s.template.section("Resources") {
		resource := r.(object)
		if condition, ok := resource["Condition"].(string); ok && !s.holds(condition) {
			continue
		}
		s.resources[id] = s.eval(resource).(object)
	}
	return s
}

func (tp template) section(name string) object {
	section, _ := tp[name].(object)
	return section
}

func (s *stack) parameter(key string, declaration object, given map[string]string) any {
	s.t.Helper()
	value, ok := given[key]
	if !ok {
		if declaration["Default"] == nil {
			s.t.Fatalf("parameter %s has no default and is not given", key)
		}
		value = fmt.Sprint(declaration["Default"])
	}
	if allowed, ok := declaration["AllowedValues"].([]any); ok {
		if !slices.ContainsFunc(allowed, func(a any) bool { return fmt.Sprint(a) == value }) {
			s.t.Fatalf("parameter %s: %q is not allowed", key, value)
		}
	}
	if pattern, ok := declaration["AllowedPattern"].(string); ok {
		if !regexp.MustCompile(`^(?:` + pattern + `)$`).MatchString(value) {
			s.t.Fatalf("parameter %s: %q does not match %s", key, value, pattern)
		}
	}
	if kind := declaration["Type"].(string); kind != "CommaDelimitedList" && !strings.HasPrefix(kind, "List<") {
		return value
	}
	var list []any
	for item := range strings.SplitSeq(value, ",") {
		list = append(list, item)
	}
	return list
}

// holds evaluates a condition by its name.
func (s *stack) holds(name string) bool {
	s.t.Helper()
	expression, ok := s.template.section("Conditions")[name]
	if !ok {
		s.t.Fatalf("no condition %s", name)
	}
	return s.truth(expression)
}

func (s *stack) truth(expression any) bool {
	s.t.Helper()
	name, arg := function(expression.(object))
	switch name {
	case "Condition":
		return s.holds(arg.(string))
	case "Fn::Equals":
		args := arg.([]any)
		return fmt.Sprint(s.eval(args[0])) == fmt.Sprint(s.eval(args[1]))
	case "Fn::Not":
		return !s.truth(arg.([]any)[0])
	case "Fn::And":
		return !slices.ContainsFunc(arg.([]any), func(e any) bool { return !s.truth(e) })
	case "Fn::Or":
		return slices.ContainsFunc(arg.([]any), s.truth)
	}
	s.t.Fatalf("not an expression of a condition: %v", expression)
	return false
}

// function splits a call of an intrinsic function, and gives "" for any other mapping.
func function(m object) (name string, arg any) {
	if len(m) != 1 {
		return "", nil
	}
	for name, arg = range m {
	}
	if name == "Ref" || name == "Condition" || strings.HasPrefix(name, "Fn::") {
		return name, arg
	}
	return "", nil
}

// eval replaces the intrinsic functions of a value. A resource is stood for by "ref:Id", its
// attribute by "att:Id.Name".
func (s *stack) eval(value any) any {
	s.t.Helper()
	switch v := value.(type) {
	case []any:
		list := []any{}
		for _, item := range v {
			if item := s.eval(item); item != (absent{}) {
				list = append(list, item)
			}
		}
		return list
	case object:
		// {Condition: name} is a function in conditions alone; here it is a policy's or a
		// resource's element.
		if name, arg := function(v); name != "" && name != "Condition" {
			return s.call(name, arg)
		}
		m := object{}
		for key, child := range v {
			if child := s.eval(child); child != (absent{}) {
				m[key] = child
			}
		}
		return m
	}
	return value
}

func (s *stack) call(name string, arg any) any {
	s.t.Helper()
	switch name {
	case "Ref":
		return s.ref(arg.(string))
	case "Fn::GetAtt":
		return fmt.Sprintf("att:%v.%v", arg.([]any)[0], arg.([]any)[1])
	case "Fn::Sub":
		return regexp.MustCompile(`\$\{[^}]+\}`).ReplaceAllStringFunc(arg.(string), func(v string) string {
			return fmt.Sprint(s.ref(strings.Trim(v, "${}")))
		})
	}
	args := arg.([]any)
	switch name {
	case "Fn::If":
		if s.holds(args[0].(string)) {
			return s.eval(args[1])
		}
		return s.eval(args[2])
	case "Fn::Join":
		var parts []string
		for _, part := range s.eval(args[1]).([]any) {
			parts = append(parts, fmt.Sprint(part))
		}
		return strings.Join(parts, args[0].(string))
	case "Fn::Split":
		var parts []any
		for part := range strings.SplitSeq(fmt.Sprint(s.eval(args[1])), args[0].(string)) {
			parts = append(parts, part)
		}
		return parts
	case "Fn::FindInMap":
		key := fmt.Sprint(s.eval(args[1]))
		return s.template.section("Mappings")[args[0].(string)].(object)[key].(object)[args[2].(string)]
	}
	s.t.Fatalf("the tests do not know %s", name)
	return nil
}

func (s *stack) ref(name string) any {
	switch name {
	case "AWS::NoValue":
		return absent{}
	case "AWS::AccountId":
		return testAccount
	case "AWS::Region":
		return testRegion
	case "AWS::Partition":
		return "aws"
	}
	if value, ok := s.parameters[name]; ok {
		return value
	}
	if s.template.section("Resources")[name] == nil {
		s.t.Fatalf("Ref %s: no such parameter or resource", name)
	}
	return "ref:" + name
}

// properties are a resource's evaluated properties; a resource that is not made fails the test.
func (s *stack) properties(id string) object {
	s.t.Helper()
	if s.resources[id] == nil {
		s.t.Fatalf("%s is not made", id)
	}
	return s.resources[id]["Properties"].(object)
}

// ofType gives the properties of all resources of a type, by logical id.
func (s *stack) ofType(kind string) map[string]object {
	found := map[string]object{}
	for id, resource := range s.resources {
		if resource["Type"] == kind {
			found[id] = resource["Properties"].(object)
		}
	}
	return found
}

// at walks into nested mappings and lists ("Targets", 0, "Arn"); nil where there is nothing.
func at(value any, path ...any) any {
	for _, step := range path {
		switch key := step.(type) {
		case string:
			m, _ := value.(object)
			value = m[key]
		case int:
			list, _ := value.([]any)
			if key >= len(list) {
				return nil
			}
			value = list[key]
		}
	}
	return value
}
