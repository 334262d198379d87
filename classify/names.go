package classify

import "strings"

// serviceSuffixes end the DNS name of an AWS service in CloudTrail: the commercial and GovCloud
// partitions, China, and the European Sovereign Cloud.
var serviceSuffixes = []string{".amazonaws.com", ".amazonaws.com.cn", ".amazonaws.eu"}

// knownServices act as root by themselves: without a person, without a key. AWS names Elastic Load
// Balancing and Auto Scaling (re:Post, "Root" in the CloudTrail logs; CloudTrail User Guide,
// userIdentity, invokedBy), and public records of 2015 to 2017 show both. They use service-linked
// roles today.
var knownServices = []string{"autoscaling", "elasticloadbalancing"}

// agents call for whoever is signed in: being named in invokedBy, they point at a person.
var agents = []string{
	"aws-mcp",    // the managed MCP server acts with its user's session (aws:CalledViaAWSMCP)
	"cloud9",     // its managed temporary credentials have the permissions of who opened the environment, root's too
	"cloudshell", // runs the console user's commands with the console user's session
	"q",          // Amazon Q passes its user's request on (q:PassRequest)
}

// consoles are the agents that are the console itself.
var consoles = []string{
	"console", // console.amazonaws.com, console.ec2.amazonaws.com
	"signin",  // names itself in invokedBy of console calls up to 2020
}

// hostLabels mark names of customers' machines and endpoints beneath AWS's domains, as in
// ec2-203-0-113-7.compute-1.amazonaws.com: whoever rents one is not a service.
var hostLabels = []string{"compute", "compute-1", "elb"}

// internalNames stand for AWS's own network: CloudTrail documents "AWS Internal/#" where it does
// not tell the service, aws.internal was seen in a record, and internal.amazonaws.com is the older
// form. People's console calls carry them too.
var internalNames = []string{"aws internal", "aws.internal", "internal.amazonaws.com"}

// consoleAgentPrefixes and consoleAgentParts mark the user agents of the console's servers, in
// lower case, as seen in records: console.ec2.amazonaws.com, [S3Console/0.4], EC2ConsoleFrontend,
// AWS-SupportPlansConsole, AWS CloudWatch Console, [AWSCloudTrail, …]. Parts are looked for without
// what consoleAgentSpelling takes away, as the names are spelt in several ways. A client can write
// any of them; they name a reason and never soften one.
var (
	consoleAgentPrefixes = []string{"signin.", "console."}
	consoleAgentParts    = []string{
		"s3console", "ec2console", "supportconsole", "supportplansconsole", "supportcenterconsole", "rdsconsole", "cloudwatchconsole",
		"cloudtrailconsole",
		"awscloudtrail", // the CloudTrail console's back end
		"coral",         // the framework of the console's own servers: Coral/Netty4
	}
	consoleAgentSpelling = strings.NewReplacer(" ", "", "-", "", "_", "", ".", "")
)

const (
	// consoleBackEnd stands in the user agents of the console's back ends: "aws-internal/3
	// aws-sdk-java/1.11.714 …". Of the 655 calls of one console session 47 had no mark but this or
	// a browser's name.
	consoleBackEnd = "aws-internal/"
	// browserPrefix begins every browser's user agent. With a key or session the browser is at the
	// console.
	browserPrefix = "mozilla/"
)

// callerKind is what a name in invokedBy or sourceIPAddress stands for.
type callerKind uint8

const (
	noCaller       callerKind = iota // absent or empty
	otherCaller                      // an address, redacted text, anything not understood
	internalCaller                   // AWS's own network; the service is not named
	consoleCaller                    // the console or its sign-in
	agentCaller                      // another service that calls for whoever is signed in
	serviceCaller                    // a service's DNS name
)

// caller is a name of the record and what it stands for.
type caller struct {
	name string // trimmed and in lower case, if the kind is a service of any sort
	kind callerKind
}

// readCaller reads a name as CloudTrail writes it into invokedBy and sourceIPAddress.
func readCaller(t Text) caller {
	if t.Empty() {
		return caller{}
	}
	name := t.name()
	for _, internal := range internalNames {
		if strings.HasPrefix(name, internal) {
			return caller{kind: internalCaller}
		}
	}
	labels := serviceLabels(name)
	if labels == nil {
		return caller{kind: otherCaller}
	}
	kind := serviceCaller
	switch {
	case anyIn(labels, hostLabels):
		return caller{kind: otherCaller}
	case anyIn(labels, consoles):
		kind = consoleCaller
	case anyIn(labels, agents):
		kind = agentCaller
	}
	return caller{name: name, kind: kind}
}

// known reports whether the name is that of a service that acts as root by itself, alone or with
// its region: dynamodb.application-autoscaling is another service than autoscaling.
func (c caller) known() bool {
	labels := serviceLabels(c.name)
	if len(labels) == 0 || len(labels) > 2 || !anyIn(labels[:1], knownServices) {
		return false
	}
	return len(labels) == 1 || IsRegion(labels[1])
}

// serviceLabels are the labels of a service's DNS name before AWS's domain, nil for anything else:
// a name that is not one to the letter is not evidence.
func serviceLabels(name string) []string {
	if len(name) > 253 {
		return nil
	}
	for _, suffix := range serviceSuffixes {
		rest, ok := strings.CutSuffix(name, suffix)
		if !ok {
			continue
		}
		labels := strings.Split(rest, ".")
		for _, label := range labels {
			if !isLabel(label) {
				return nil
			}
		}
		return labels
	}
	return nil
}

// isLabel reports whether s is a host name's label: letters, digits and inner hyphens.
func isLabel(s string) bool {
	if s == "" || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-') {
			return false
		}
	}
	return true
}

// IsRegion reports whether s has the form of a region's name, in any partition: two or more words
// of lower-case letters and a number of one or two digits, as in us-east-1, us-gov-west-1,
// eu-isoe-west-1.
func IsRegion(s string) bool {
	part := strings.Split(s, "-")
	if len(part) < 3 || len(s) > 32 {
		return false
	}
	for _, word := range part[:len(part)-1] {
		if len(word) < 2 || strings.Trim(word, "abcdefghijklmnopqrstuvwxyz") != "" {
			return false
		}
	}
	number := part[len(part)-1]
	return len(number) >= 1 && len(number) <= 2 && strings.Trim(number, "0123456789") == ""
}

// anyIn reports whether one of the labels is in the list.
func anyIn(labels, list []string) bool {
	for _, label := range labels {
		for _, entry := range list {
			if label == entry {
				return true
			}
		}
	}
	return false
}
