package classify

import "testing"

func TestServiceInvoked(t *testing.T) {
	other := func(name string) []change {
		return []change{set("userIdentity.invokedBy", name), set("sourceIPAddress", name), set("userAgent", name)}
	}
	for _, tt := range []struct {
		name    string
		changes []change
		reason  Reason
		service string
	}{
		{"Auto Scaling", nil, KnownService, "autoscaling.amazonaws.com"},
		{"Elastic Load Balancing", other("elasticloadbalancing.amazonaws.com"), KnownService, "elasticloadbalancing.amazonaws.com"},
		{"a region in the name", other("elasticloadbalancing.eu-west-1.amazonaws.com"), KnownService, "elasticloadbalancing.eu-west-1.amazonaws.com"},
		{"China", other("autoscaling.amazonaws.com.cn"), KnownService, "autoscaling.amazonaws.com.cn"},
		{"names are trimmed and compared in lower case", other(" AutoScaling.amazonaws.com "), KnownService, "autoscaling.amazonaws.com"},
		{"another service", other("rds.amazonaws.com"), OtherService, "rds.amazonaws.com"},
		{"DynamoDB's auto scaling is another service", other("dynamodb.application-autoscaling.amazonaws.com"), OtherService, "dynamodb.application-autoscaling.amazonaws.com"},
		{"WorkMail of a region", other("workmail.eu-west-1.amazonaws.com"), OtherService, "workmail.eu-west-1.amazonaws.com"},
		{"European Sovereign Cloud", other("eks-nodegroup.amazonaws.eu"), OtherService, "eks-nodegroup.amazonaws.eu"},
		{"another service's name in sourceIPAddress", []change{set("sourceIPAddress", "ec2.amazonaws.com")}, KnownService, "autoscaling.amazonaws.com"},
		{"a service's event", []change{set("eventType", "AwsServiceEvent")}, KnownService, "autoscaling.amazonaws.com"},
		{"additional data of a wrong type has no mark in it", []change{set("additionalEventData", `{"signInSessionArn":"x"}`)}, KnownService, "autoscaling.amazonaws.com"},
		{"no event type, as in version 1.01", []change{drop("eventType")}, KnownService, "autoscaling.amazonaws.com"},
		{"an empty event type", []change{set("eventType", "")}, KnownService, "autoscaling.amazonaws.com"},
		{"an empty key", []change{set("userIdentity.accessKeyId", "")}, KnownService, "autoscaling.amazonaws.com"},
		{"an empty session", []change{set("userIdentity.sessionContext", map[string]any{})}, KnownService, "autoscaling.amazonaws.com"},
		{"a session of empty members", []change{set("userIdentity.sessionContext", literal(`{"sessionIssuer":{},"webIdFederationData":{},"attributes":{"creationDate":""}}`))}, KnownService, "autoscaling.amazonaws.com"},
		{"an empty list for a session", []change{set("userIdentity.sessionContext", literal(`[]`))}, KnownService, "autoscaling.amazonaws.com"},
		{"empty TLS details", []change{set("tlsDetails", map[string]any{})}, KnownService, "autoscaling.amazonaws.com"},
		{"null TLS details", []change{set("tlsDetails", null)}, KnownService, "autoscaling.amazonaws.com"},
		{"not from the console", []change{set("sessionCredentialFromConsole", "false")}, KnownService, "autoscaling.amazonaws.com"},
		{"in no scope", []change{set("userIdentity.inScopeOf", map[string]any{})}, KnownService, "autoscaling.amazonaws.com"},
		{"any user agent: a client's does not speak against a service", []change{set("userAgent", "console.amazonaws.com")}, KnownService, "autoscaling.amazonaws.com"},
		{"no user agent", []change{drop("userAgent")}, KnownService, "autoscaling.amazonaws.com"},
		{"a read", []change{set("readOnly", true), set("eventName", "DescribeInstances")}, KnownService, "autoscaling.amazonaws.com"},
		{"fields of a later version", []change{set("eventVersion", "1.12"), set("userIdentity.shoeSize", 43)}, KnownService, "autoscaling.amazonaws.com"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := judge(t, edit(serviceCall(), tt.changes...))
			severity := map[Reason]Severity{KnownService: None, OtherService: Info}[tt.reason]
			if got.Verdict != ServiceInvoked || got.Reason != tt.reason || got.Severity != severity || got.Service != tt.service {
				t.Errorf("got %s %s %s by %q, want service_invoked %s %s by %q",
					got.Verdict, got.Reason, got.Severity, got.Service, tt.reason, severity, tt.service)
			}
		})
	}
}

// Each change breaks one condition of a service's own call and leaves all others as they are.
func TestOneBrokenConditionIsEnoughToAlert(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change change
		reason Reason
	}{
		{"1: federated by root", set("userIdentity.type", "FederatedUser"), Unattributed},
		{"1: type Unknown", set("userIdentity.type", "Unknown"), Unattributed},
		{"1: no type", drop("userIdentity.type"), Unattributed},
		{"1: another spelling of Root", set("userIdentity.type", "root"), Unattributed},
		{"1: a console action", set("eventType", "AwsConsoleAction"), ConsoleSession},
		{"1: a sign-in event", set("eventType", "AwsConsoleSignIn"), SignIn},
		{"1: a call through a VPC endpoint", set("eventType", "AwsVpceEvent"), Unattributed},
		{"1: an insight", set("eventType", "AwsCloudTrailInsight"), Unattributed},
		{"1: an event type of another JSON type", set("eventType", []string{"AwsApiCall"}), Unattributed},
		{"1: the sign-in service", set("eventSource", "signin.amazonaws.com"), SignIn},
		{"1: an event source of another JSON type", set("eventSource", map[string]any{"name": "ec2.amazonaws.com"}), Unattributed},
		{"2: nobody in invokedBy", drop("userIdentity.invokedBy"), Unattributed},
		{"2: empty invokedBy", set("userIdentity.invokedBy", ""), Unattributed},
		{"2: AWS Internal", set("userIdentity.invokedBy", "AWS Internal"), AWSInternal},
		{"2: internal.amazonaws.com", set("userIdentity.invokedBy", "internal.amazonaws.com"), AWSInternal},
		{"2: a look-alike", set("userIdentity.invokedBy", "autoscaling.amazonaws.com.evil.com"), Unattributed},
		{"2: a list", set("userIdentity.invokedBy", []string{"autoscaling.amazonaws.com"}), Unattributed},
		{"2: the sign-in", set("userIdentity.invokedBy", "signin.amazonaws.com"), ConsoleSession},
		{"2: the console", set("userIdentity.invokedBy", "console.amazonaws.com"), ConsoleSession},
		{"2: the MCP server", set("userIdentity.invokedBy", "aws-mcp.amazonaws.com"), Forwarded},
		{"2: CloudShell", set("userIdentity.invokedBy", "cloudshell.amazonaws.com"), Forwarded},
		{"3: an IPv4 address", set("sourceIPAddress", office), Unattributed},
		{"3: an IPv6 address", set("sourceIPAddress", "2001:db8::7"), Unattributed},
		{"3: a private address", set("sourceIPAddress", "10.0.0.4"), Unattributed},
		{"3: AWS Internal", set("sourceIPAddress", "AWS Internal"), AWSInternal},
		{"3: aws.internal", set("sourceIPAddress", "aws.internal"), AWSInternal},
		{"3: an agent", set("sourceIPAddress", "cloudshell.amazonaws.com"), Unattributed},
		{"3: the console", set("sourceIPAddress", "console.amazonaws.com"), Unattributed},
		{"3: a rented machine", set("sourceIPAddress", "ec2-203-0-113-7.compute-1.amazonaws.com"), Unattributed},
		{"3: redacted", set("sourceIPAddress", "XXXXXXXXXXX"), Unattributed},
		{"3: absent", drop("sourceIPAddress"), Unattributed},
		{"3: a list", set("sourceIPAddress", []string{"autoscaling.amazonaws.com"}), Unattributed},
		{"4: a long-lived key", set("userIdentity.accessKeyId", longLived), AccessKey},
		{"4: a temporary key", set("userIdentity.accessKeyId", temporary), Forwarded},
		{"4: a redacted key", set("userIdentity.accessKeyId", "XXXX"), Forwarded},
		{"4: an empty object for a key", set("userIdentity.accessKeyId", literal(`{}`)), Forwarded},
		{"4: a key of another JSON type", set("userIdentity.accessKeyId", 5), Forwarded},
		{"4: a key of blanks", set("userIdentity.accessKeyId", " "), Forwarded},
		{"4: a session", set("userIdentity.sessionContext.attributes", map[string]any{"creationDate": "2024-05-01T08:00:00Z"}), Forwarded},
		{"4: a session without a start", set("userIdentity.sessionContext.attributes", map[string]any{"mfaAuthenticated": "false"}), Forwarded},
		{"4: a session with a member that is not known", set("userIdentity.sessionContext", map[string]any{"novelty": map[string]any{"a": 1}}), Forwarded},
		{"4: a session that is a string", set("userIdentity.sessionContext", "x"), Forwarded},
		{"4: a session that is a list", set("userIdentity.sessionContext", literal(`[1]`)), Forwarded},
		{"4: a session that is a boolean", set("userIdentity.sessionContext", false), Forwarded},
		{"5: TLS details", set("tlsDetails", map[string]any{"tlsVersion": "TLSv1.3"}), Unattributed},
		{"5: TLS details that are a string", set("tlsDetails", "TLSv1.3"), Unattributed},
		{"5: from the console, a string", set("sessionCredentialFromConsole", "true"), ConsoleSession},
		{"5: from the console, a boolean", set("sessionCredentialFromConsole", true), ConsoleSession},
		{"5: from the console, not understood", set("sessionCredentialFromConsole", "1"), Unattributed},
		{"5: a partner's delegation", set("userIdentity.invokedByDelegate", map[string]any{"accountId": "444455556666"}), Unattributed},
		{"5: central root access", set("userIdentity.sessionContext.assumedRoot", "true"), AssumedRoot},
		{"5: a sign-in session in the session", set("userIdentity.sessionContext.signInSessionArn", "arn:aws:signin:eu-west-1:111122223333:session/0c5d"), Forwarded},
		{"5: a sign-in session in userIdentity", set("userIdentity.signInSessionArn", "arn:aws:signin:eu-west-1:111122223333:session/0c5d"), Unattributed},
		{"5: a sign-in session in the record", set("signInSessionArn", "arn:aws:signin:eu-west-1:111122223333:session/0c5d"), Unattributed},
		{"5: a sign-in session in additionalEventData", set("additionalEventData.signInSessionArn", "arn:aws:signin:eu-west-1:111122223333:session/0c5d"), Unattributed},
		{"a bearer token", set("userIdentity.credentialId", "EXAMPLEVHULj"), Forwarded},
		{"on behalf of an Identity Center user", set("userIdentity.onBehalfOf", map[string]any{"userId": "544894e8"}), Unattributed},
		{"in the scope of a workload", set("userIdentity.inScopeOf", map[string]any{"issuerType": "AWS::EC2::Instance"}), Unattributed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			record := edit(serviceCall(), tt.change)
			if tt.change.value == "FederatedUser" {
				// The session that names root as the issuer would be a second change: the ARN says
				// it here.
				edit(record, set("userIdentity.arn", rootARN))
			}
			got := judge(t, record)
			if got.Verdict != Unexplained || got.Reason != tt.reason {
				t.Errorf("got %s %s, want unexplained %s", got.Verdict, got.Reason, tt.reason)
			}
			if got.Severity == None || got.Severity == Info {
				t.Errorf("severity %s", got.Severity)
			}
		})
	}
}

// The example of AWS's article on root activity, rebuilt: a load balancer fails to delete a network
// interface.
func elbCall() map[string]any {
	const elb = "elasticloadbalancing.amazonaws.com"
	return edit(serviceCall(),
		set("eventVersion", "1.02"), set("eventTime", "2015-11-12T04:31:44Z"), set("eventName", "DeleteNetworkInterface"),
		set("awsRegion", "ap-southeast-2"), set("sourceIPAddress", elb), set("userAgent", elb), set("userIdentity.invokedBy", elb),
		set("userIdentity.userName", "an-alias"), set("errorCode", "Client.InvalidParameterValue"),
		set("errorMessage", "Network interface 'eni-0a1b2c3d' is currently in use."),
		set("requestParameters", map[string]any{"networkInterfaceId": "eni-0a1b2c3d"}),
	)
}

func TestTheArticlesOwnExample(t *testing.T) {
	got := judge(t, elbCall())
	if got.Verdict != ServiceInvoked || got.Reason != KnownService || got.Severity != None {
		t.Errorf("got %s %s %s", got.Verdict, got.Reason, got.Severity)
	}
	const want = "elasticloadbalancing.amazonaws.com called ec2 DeleteNetworkInterface as root on its own: no key and no session were used"
	if got.Explanation != want {
		t.Errorf("explanation %q", got.Explanation)
	}
}
