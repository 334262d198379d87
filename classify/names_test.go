package classify

import (
	"strings"
	"testing"
)

func TestCallers(t *testing.T) {
	kinds := map[callerKind]string{
		noCaller: "none", otherCaller: "other", internalCaller: "internal", consoleCaller: "console", agentCaller: "agent", serviceCaller: "service",
	}
	for _, tt := range []struct {
		name  string
		value any
		want  callerKind
		known bool
	}{
		{"Auto Scaling", "autoscaling.amazonaws.com", serviceCaller, true},
		{"Elastic Load Balancing", "elasticloadbalancing.amazonaws.com", serviceCaller, true},
		{"upper case and blanks", " AutoScaling.AmazonAWS.com\n", serviceCaller, true},
		{"known service with its region", "elasticloadbalancing.us-east-1.amazonaws.com", serviceCaller, true},
		{"known service in GovCloud", "autoscaling.us-gov-west-1.amazonaws.com", serviceCaller, true},
		{"known service in China", "autoscaling.amazonaws.com.cn", serviceCaller, true},
		{"known service in China with its region", "autoscaling.cn-north-1.amazonaws.com.cn", serviceCaller, true},
		{"known service in the European Sovereign Cloud", "elasticloadbalancing.amazonaws.eu", serviceCaller, true},
		{"another service", "rds.amazonaws.com", serviceCaller, false},
		{"a service of two labels", "dynamodb.application-autoscaling.amazonaws.com", serviceCaller, false},
		{"a service of two labels that begins like a known one", "autoscaling.dynamodb.amazonaws.com", serviceCaller, false},
		{"known service behind something that is not a region", "autoscaling.east.amazonaws.com", serviceCaller, false},
		{"known service with two labels behind it", "autoscaling.eu-west-1.x.amazonaws.com", serviceCaller, false},
		{"known service's name as the end of another", "myautoscaling.amazonaws.com", serviceCaller, false},
		{"a regional service", "workmail.eu-west-1.amazonaws.com", serviceCaller, false},
		{"EKS node groups", "eks-nodegroup.amazonaws.com", serviceCaller, false},
		{"connect", "connect.amazonaws.com", serviceCaller, false},
		{"the sign-in", "signin.amazonaws.com", consoleCaller, false},
		{"the sign-in of a region", "us-east-1.signin.amazonaws.com", consoleCaller, false},
		{"the console", "console.amazonaws.com", consoleCaller, false},
		{"a service's console", "console.ec2.amazonaws.com", consoleCaller, false},
		{"the console in China", "console.amazonaws.com.cn", consoleCaller, false},
		{"the MCP server", "aws-mcp.amazonaws.com", agentCaller, false},
		{"CloudShell", "cloudshell.amazonaws.com", agentCaller, false},
		{"CloudShell of a region", "cloudshell.eu-central-1.amazonaws.com", agentCaller, false},
		{"Cloud9", "cloud9.amazonaws.com", agentCaller, false},
		{"Amazon Q", "q.amazonaws.com", agentCaller, false},
		{"AWS Internal", "AWS Internal", internalCaller, false},
		{"AWS Internal with a number", "AWS Internal/3", internalCaller, false},
		{"aws.internal", "aws.internal", internalCaller, false},
		{"internal.amazonaws.com", "internal.amazonaws.com", internalCaller, false},
		{"IPv4", "203.0.113.7", otherCaller, false},
		{"IPv6", "2001:db8::7", otherCaller, false},
		{"carrier-grade NAT", "100.64.1.9", otherCaller, false},
		{"a private address", "10.0.0.4", otherCaller, false},
		{"redacted", "XXXXXXXXXXX", otherCaller, false},
		{"a rented machine", "ec2-203-0-113-7.compute-1.amazonaws.com", otherCaller, false},
		{"a rented machine in another region", "ec2-203-0-113-7.eu-west-1.compute.amazonaws.com", otherCaller, false},
		{"a customer's load balancer", "shop-123456789.eu-west-1.elb.amazonaws.com", otherCaller, false},
		{"the bare domain", "amazonaws.com", otherCaller, false},
		{"the bare domain behind a dot", ".amazonaws.com", otherCaller, false},
		{"a look-alike domain", "evilamazonaws.com", otherCaller, false},
		{"a look-alike domain with a service", "autoscaling.evilamazonaws.com", otherCaller, false},
		{"a service's name as the start of another domain", "autoscaling.amazonaws.com.evil.com", otherCaller, false},
		{"another domain of AWS", "signin.aws.amazon.com", otherCaller, false},
		{"a trailing dot", "autoscaling.amazonaws.com.", otherCaller, false},
		{"an empty label", "autoscaling..amazonaws.com", otherCaller, false},
		{"a leading dot", ".autoscaling.amazonaws.com", otherCaller, false},
		{"a blank inside", "auto scaling.amazonaws.com", otherCaller, false},
		{"an underscore", "auto_scaling.amazonaws.com", otherCaller, false},
		{"a hyphen at the end of a label", "autoscaling-.amazonaws.com", otherCaller, false},
		{"a control character", "autoscaling\x00.amazonaws.com", otherCaller, false},
		{"a line break inside", "autoscaling\n.amazonaws.com", otherCaller, false},
		{"a Cyrillic a", "\u0430utoscaling.amazonaws.com", otherCaller, false},
		{"a Kelvin sign for a k", "wor\u212amail.amazonaws.com", otherCaller, false},
		{"a dotted capital I", "autoscal\u0130ng.amazonaws.com", otherCaller, false},
		{"a full-width dot", "autoscaling\uff0eamazonaws.com", otherCaller, false},
		{"a zero-width space", "autoscaling\u200b.amazonaws.com", otherCaller, false},
		{"a no-break space around it", "\u00a0autoscaling.amazonaws.com", otherCaller, false},
		{"a URL", "https://autoscaling.amazonaws.com", otherCaller, false},
		{"a port", "autoscaling.amazonaws.com:443", otherCaller, false},
		{"a label of 64 characters", strings.Repeat("a", 64) + ".amazonaws.com", otherCaller, false},
		{"a name of 253 characters", strings.Repeat("a.", 120) + "amazonaws.com", serviceCaller, false},
		{"a name of 255 characters", strings.Repeat("a.", 121) + "amazonaws.com", otherCaller, false},
		{"blanks only", "  ", otherCaller, false},
		{"a list with a service's name", []string{"autoscaling.amazonaws.com"}, otherCaller, false},
		{"an object with a service's name", map[string]any{"name": "autoscaling.amazonaws.com"}, otherCaller, false},
		{"true", true, otherCaller, false},
		{"an empty string", "", noCaller, false},
		{"an empty object", map[string]any{}, noCaller, false},
		{"null", null, noCaller, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ev := decode(t, edit(bareCall(), set("userIdentity.invokedBy", tt.value)))
			got := readCaller(ev.UserIdentity.InvokedBy)
			if got.kind != tt.want || got.known() != tt.known {
				t.Errorf("%v is %s, known %t; want %s, known %t", tt.value, kinds[got.kind], got.known(), kinds[tt.want], tt.known)
			}
			if (got.name != "") != (facts{invokedBy: got.kind}).serviceNamed() {
				t.Errorf("name %q of a %s", got.name, kinds[got.kind])
			}
		})
	}
}
