package classify

import (
	"slices"
	"testing"
)

func TestReasons(t *testing.T) {
	const (
		session = "userIdentity.sessionContext"
		invoked = "userIdentity.invokedBy"
		key     = "userIdentity.accessKeyId"
	)
	noSuccess := drop("responseElements")
	for _, tt := range []struct {
		name     string
		record   map[string]any
		changes  []change
		reason   Reason
		severity Severity
	}{
		// no_root_arn
		{"recorded as root without an ARN: a failed login of a directory", signIn(), []change{set("userIdentity.arn", ""), set("eventName", "ExternalIdPDirectoryLogin"),
			set("responseElements", map[string]any{"ExternalIdPDirectoryLogin": "Failure"})}, NoRootARN, Low},
		{"an empty ARN comes before the sign-in", signIn(), []change{set("userIdentity.arn", "")}, NoRootARN, Low},
		{"an empty ARN with a session: somebody is in", sessionCall(), []change{set("userIdentity.arn", "")}, NoRootARN, High},
		{"an empty ARN with a long-lived key", bareCall(), []change{set("userIdentity.arn", ""), set(key, longLived)}, NoRootARN, Critical},
		{"an absent ARN is not an empty one", signIn(), []change{drop("userIdentity.arn")}, SignIn, High},
		{"a null ARN is not an empty one", signIn(), []change{set("userIdentity.arn", null)}, SignIn, High},
		{"an empty ARN under another spelling of the type", bareCall(), []change{set("userIdentity.arn", ""), set("userIdentity.type", "ROOT")}, Unattributed, High},
		{"an empty ARN under a federated user", sessionCall(), []change{set("userIdentity.arn", ""), set("userIdentity.type", "FederatedUser"),
			set(session+".sessionIssuer.type", "Root")}, CLISession, High},

		// sign_in
		{"a login", signIn(), nil, SignIn, High},
		{"a login in an older spelling of the type", signIn(), []change{set("eventType", "AwsConsoleSignin")}, SignIn, High},
		{"a failed login", signIn(), []change{set("responseElements.ConsoleLogin", "Failure"), set("errorMessage", "Failed authentication")}, SignIn, Medium},
		{"a failed login that says so in its outcome alone", signIn(), []change{set("responseElements.ConsoleLogin", "Failure")}, SignIn, Medium},
		{"a failed login that says so in its message alone", signIn(), []change{noSuccess, set("errorMessage", "Failed authentication")}, SignIn, Medium},
		{"a failed login that says so in its code alone", signIn(), []change{noSuccess, set("errorCode", "AccessDenied")}, SignIn, Medium},
		{"a login with a message beside its success", signIn(), []change{set("errorMessage", "odd")}, SignIn, High},
		{"a login whose outcome is not understood", signIn(), []change{set("responseElements", "Failure")}, SignIn, High},
		{"a login without an outcome", signIn(), []change{noSuccess}, SignIn, High},
		{"a passed check of the second factor", signIn(), []change{set("eventName", "CheckMfa"), set("responseElements", map[string]any{"CheckMfa": "Success"})}, SignIn, High},
		{"a failed check of the second factor", signIn(), []change{set("eventName", "CheckMfa"), set("responseElements", map[string]any{"CheckMfa": "Failure"})}, SignIn, Medium},
		{"a challenge", signIn(), []change{set("eventName", "CredentialChallenge"), set("eventType", "AwsServiceEvent"), noSuccess}, SignIn, High},
		{"a password recovery asked for", signIn(), []change{set("eventName", "PasswordRecoveryRequested"), set("responseElements", map[string]any{"PasswordRecoveryRequested": "Success"})}, SignIn, High},
		{"a password recovery that failed", signIn(), []change{set("eventName", "PasswordRecoveryCompleted"), set("responseElements", map[string]any{"PasswordRecoveryCompleted": "Failure"})}, SignIn, Medium},
		{"a new password", signIn(), []change{set("eventName", "PasswordUpdated"), set("responseElements", map[string]any{"PasswordUpdated": "Success"})}, SignIn, Critical},
		{"aws login, the authorisation", signIn(), []change{set("eventName", "AuthorizeOAuth2Access"), set("eventType", "AwsApiCall"), set("awsRegion", "eu-north-1"), noSuccess,
			set("readOnly", true), set("additionalEventData", map[string]any{"success": "true"})}, SignIn, High},
		{"aws login, the token", signIn(), []change{set("eventName", "CreateOAuth2Token"), set("eventType", "AwsApiCall"), noSuccess,
			set("additionalEventData", map[string]any{"success": "true", "signInSessionArn": "arn:aws:signin:eu-north-1:111122223333:session/0c5d"})}, SignIn, High},
		{"aws login, refused", signIn(), []change{set("eventName", "AuthorizeOAuth2Access"), set("eventType", "AwsApiCall"), noSuccess,
			set("additionalEventData", map[string]any{"success": "false"})}, SignIn, Medium},
		{"aws login, refused, as a boolean", signIn(), []change{set("eventName", "CreateOAuth2Token"), set("eventType", "AwsApiCall"), noSuccess,
			set("additionalEventData", map[string]any{"success": false})}, SignIn, Medium},
		{"a failed event that AWS may add", signIn(), []change{set("eventName", "PasswordRecoveryStarted"), set("responseElements", map[string]any{"PasswordRecoveryStarted": "Failure"})}, SignIn, Medium},
		{"AWS Sign-In's API, called with a session", sessionCall(), []change{set("eventSource", "signin.amazonaws.com"), set("eventName", "GetResourcePolicy")}, CLISession, High},
		{"AWS Sign-In's API, refused", sessionCall(), []change{set("eventSource", "signin.amazonaws.com"), set("errorCode", "AccessDenied")}, CLISession, High},
		{"AWS Sign-In's API, called by a browser's session", sessionCall(), []change{set("eventSource", "signin.amazonaws.com"), set("userAgent", "Mozilla/5.0")}, ConsoleSession, High},
		{"AWS Sign-In's API, called with a long-lived key", bareCall(), []change{set("eventSource", "signin.amazonaws.com"), set(key, longLived)}, AccessKey, Critical},
		{"AWS Sign-In's API, called with a redacted key", bareCall(), []change{set("eventSource", "signin.amazonaws.com"), set(key, "xx")}, AccessKey, Critical},
		{"AWS Sign-In's API, called with a bearer token", bareCall(), []change{set("eventSource", "signin.amazonaws.com"), set("userIdentity.credentialId", "EXAMPLEVHULj")}, CLISession, High},
		{"a sign-in event with a session: GetSigninToken", sessionCall(), []change{set("eventSource", "signin.amazonaws.com"), set("eventType", "AwsConsoleSignIn"), set("eventName", "GetSigninToken")}, SignIn, High},
		{"a sign-in event with a session, failed: somebody is in already", sessionCall(), []change{set("eventSource", "signin.amazonaws.com"), set("eventType", "AwsConsoleSignIn"), set("errorCode", "AccessDenied")}, SignIn, High},
		{"sign-in comes before the key, and the key before the grade", signIn(), []change{set(key, longLived), set("responseElements.ConsoleLogin", "Failure")}, SignIn, Critical},
		{"sign-in of China", signIn(), []change{set("eventSource", "signin.amazonaws.com.cn"), set("eventType", "AwsApiCall")}, SignIn, High},
		{"sign-in event of the billing console", signIn(), []change{set("eventSource", "billingconsole.amazonaws.com"), set("eventName", "SetContactAddress"), noSuccess}, SignIn, High},

		// Records with marks of two rows: the first counts.
		{"central root access at the sign-in service", sessionCall(), []change{set("eventSource", "signin.amazonaws.com"), set(session+".assumedRoot", "true")}, AssumedRoot, Medium},
		{"central root access with a redacted key and no other session", bareCall(), []change{set(key, "xx"), set(session+".assumedRoot", "true")}, AssumedRoot, Medium},
		{"an agent of a region in another order", serviceCall(), []change{set(invoked, "eu-west-1.cloudshell.amazonaws.com")}, Forwarded, High},
		{"a long-lived key in lower case", sessionCall(), []change{set(key, "akiaiosfodnn7example")}, AccessKey, Critical},

		// assumed_root
		{"central root access", sessionCall(), []change{set(session+".assumedRoot", "true")}, AssumedRoot, Medium},
		{"central root access as a boolean", sessionCall(), []change{set(session+".assumedRoot", true)}, AssumedRoot, Medium},
		{"central root access through a service", sessionCall(), []change{set(session+".assumedRoot", "true"), set(invoked, "s3.amazonaws.com")}, AssumedRoot, Medium},
		{"no central root access", sessionCall(), []change{set(session+".assumedRoot", "false")}, CLISession, High},
		{"central root access not understood", sessionCall(), []change{set(session+".assumedRoot", 1)}, CLISession, High},

		// access_key
		{"a long-lived key", bareCall(), []change{set(key, longLived)}, AccessKey, Critical},
		{"a long-lived key with a session, as after MFA", sessionCall(), []change{set(key, longLived)}, AccessKey, Critical},
		{"a long-lived key and the console's user agent", sessionCall(), []change{set(key, longLived), set("userAgent", "console.amazonaws.com"), set("sessionCredentialFromConsole", "true")}, AccessKey, Critical},
		{"a long-lived key behind a service", serviceCall(), []change{set(key, longLived)}, AccessKey, Critical},
		{"a long-lived key behind an agent", serviceCall(), []change{set(key, longLived), set(invoked, "cloudshell.amazonaws.com")}, AccessKey, Critical},
		{"a long-lived key inside AWS", bareCall(), []change{set(key, longLived), set("sourceIPAddress", "AWS Internal")}, AccessKey, Critical},
		{"a long-lived key on a failed call", bareCall(), []change{set(key, longLived), set("errorCode", "Client.AuthFailure")}, AccessKey, Critical},
		{"a redacted key without a session", bareCall(), []change{set(key, "xx")}, AccessKey, Critical},
		{"a key of another JSON type without a session", bareCall(), []change{set(key, 5)}, AccessKey, Critical},
		{"a redacted key with a session", sessionCall(), []change{set(key, "xx")}, CLISession, High},
		{"a redacted key on a console action", bareCall(), []change{set(key, "xx"), set("eventType", "AwsConsoleAction")}, AccessKey, Critical},
		{"a long-lived key on a console action", bareCall(), []change{set(key, longLived), set("eventType", "AwsConsoleAction")}, AccessKey, Critical},

		// forwarded
		{"Glue on a person's session", sessionCall(), []change{set(invoked, "glue.amazonaws.com"), set("sourceIPAddress", "glue.amazonaws.com"), set("userAgent", "glue.amazonaws.com")}, Forwarded, High},
		{"CloudFormation on a person's session and address", sessionCall(), []change{set(invoked, "cloudformation.amazonaws.com")}, Forwarded, High},
		{"even Auto Scaling on a person's session", sessionCall(), []change{set(invoked, "autoscaling.amazonaws.com"), set("sourceIPAddress", "autoscaling.amazonaws.com")}, Forwarded, High},
		{"a session without its key", sessionCall(), []change{set(invoked, "glue.amazonaws.com"), drop(key)}, Forwarded, High},
		{"a temporary key without its session", serviceCall(), []change{set(key, temporary)}, Forwarded, High},
		{"an agent with a temporary key", sessionCall(), []change{set(invoked, "aws-mcp.amazonaws.com")}, Forwarded, High},
		{"an agent without key or session", serviceCall(), []change{set(invoked, "aws-mcp.amazonaws.com"), set("sourceIPAddress", "aws-mcp.amazonaws.com")}, Forwarded, High},
		{"forwarding comes before the console's marks", sessionCall(), []change{set(invoked, "glue.amazonaws.com"), set("sessionCredentialFromConsole", "true")}, Forwarded, High},
		{"a service for a federated user of root", sessionCall(), []change{set("userIdentity.type", "FederatedUser"), set(session+".sessionIssuer.type", "Root"), set(invoked, "glue.amazonaws.com")}, Forwarded, High},

		// console_session
		{"credentials from the console", sessionCall(), []change{set("sessionCredentialFromConsole", "true")}, ConsoleSession, High},
		{"credentials from the console, as a boolean", sessionCall(), []change{set("sessionCredentialFromConsole", true)}, ConsoleSession, High},
		{"credentials from the console, in the session", sessionCall(), []change{set(session+".attributes.sessionCredentialFromConsole", "true")}, ConsoleSession, High},
		{"the billing console: a temporary key without its session", bareCall(), []change{set(key, temporary), set("eventType", "AwsConsoleAction"), set("eventSource", "billingconsole.amazonaws.com")}, ConsoleSession, High},
		{"a browser with a session", sessionCall(), []change{set("userAgent", "Mozilla/5.0 (X11; Linux x86_64)")}, ConsoleSession, High},
		{"a browser with a temporary key alone", bareCall(), []change{set(key, temporary), set("userAgent", "Mozilla/5.0")}, ConsoleSession, High},
		{"the back end of a console", sessionCall(), []change{set("userAgent", "aws-internal/3 aws-sdk-java/1.11.714")}, ConsoleSession, High},
		{"the CloudTrail console's back end", sessionCall(), []change{set("userAgent", "[AWSCloudTrail, aws-internal/3 aws-sdk-java/1.11.991]")}, ConsoleSession, High},
		{"the CloudTrail console's name alone", sessionCall(), []change{set("userAgent", "AWSCloudTrail")}, ConsoleSession, High},
		{"a console action", bareCall(), []change{set("eventType", "AwsConsoleAction")}, ConsoleSession, High},
		{"invoked by the sign-in", sessionCall(), []change{set(invoked, "signin.amazonaws.com")}, ConsoleSession, High},
		{"invoked by the sign-in with neither key nor session", serviceCall(), []change{set(invoked, "signin.amazonaws.com"), set("sourceIPAddress", "signin.amazonaws.com")}, ConsoleSession, High},
		{"invoked by the console", sessionCall(), []change{set(invoked, "console.amazonaws.com")}, ConsoleSession, High},
		{"the sign-in's user agent", sessionCall(), []change{set("userAgent", "signin.amazonaws.com")}, ConsoleSession, High},
		{"the console's user agent", bareCall(), []change{set("userAgent", "console.amazonaws.com")}, ConsoleSession, High},
		{"the EC2 console's user agent", bareCall(), []change{set("userAgent", "console.ec2.amazonaws.com")}, ConsoleSession, High},
		{"the S3 console", bareCall(), []change{set("userAgent", "[S3Console/0.4, aws-internal/3 aws-sdk-java/1.12.488]")}, ConsoleSession, High},
		{"the EC2 console's server", bareCall(), []change{set("userAgent", "EC2ConsoleFrontend, aws-internal/3")}, ConsoleSession, High},
		{"the support console", sessionCall(), []change{set("userAgent", "AWS-SupportPlansConsole, aws-internal/3")}, ConsoleSession, High},
		{"Coral", sessionCall(), []change{set("userAgent", "Coral/Netty4")}, ConsoleSession, High},
		{"Coral's client", sessionCall(), []change{set("userAgent", "aws-coral-client")}, ConsoleSession, High},
		{"the S3 console in two words", sessionCall(), []change{set("userAgent", "AWS S3 Console")}, ConsoleSession, High},
		{"the EC2 console with hyphens", sessionCall(), []change{set("userAgent", "AWS-EC2-Console")}, ConsoleSession, High},
		{"the support console in two words", sessionCall(), []change{set("userAgent", "AWS Support Console")}, ConsoleSession, High},
		{"the RDS console", sessionCall(), []change{set("userAgent", "RDS Console, aws-internal/3")}, ConsoleSession, High},
		{"the CloudWatch console", sessionCall(), []change{set("userAgent", "AWS CloudWatch Console")}, ConsoleSession, High},
		{"the console's user agent, written as a list", sessionCall(), []change{set("userAgent", "[console.amazonaws.com]")}, ConsoleSession, High},
		{"CloudShell with the console's session", sessionCall(), []change{set("userAgent", "aws-cli/2 exec-env/CloudShell"), set("sessionCredentialFromConsole", "true")}, ConsoleSession, High},
		{"the console inside AWS", sessionCall(), []change{set("sourceIPAddress", "AWS Internal"), set("userAgent", "AWS Internal"), set("sessionCredentialFromConsole", "true")}, ConsoleSession, High},
		{"a federated user of root in the console", sessionCall(), []change{set("userIdentity.type", "FederatedUser"), set(session+".sessionIssuer.type", "Root"), set("sessionCredentialFromConsole", "true")}, ConsoleSession, High},

		// cli_session
		{"a temporary key and its session", sessionCall(), nil, CLISession, High},
		{"a session without its key", sessionCall(), []change{drop(key)}, CLISession, High},
		{"a temporary key without the session that it should have", bareCall(), []change{set(key, temporary)}, CLISession, High},
		{"credentials of a sign-in, which may be those of aws login", sessionCall(), []change{set(session+".signInSessionArn", "arn:aws:signin:eu-west-1:111122223333:session/0c5d")}, CLISession, High},
		{"CloudShell", sessionCall(), []change{set("userAgent", "aws-cli/2.15.0 exec-env/CloudShell"), set("sourceIPAddress", "198.51.100.9")}, CLISession, High},
		{"inside AWS with a session: deleting root's MFA device", sessionCall(), []change{set("eventSource", "iam.amazonaws.com"), set("eventName", "DeleteVirtualMFADevice"), set("sourceIPAddress", "AWS Internal"), set("userAgent", "AWS Internal")}, CLISession, Critical},
		{"Connect's name in address and user agent, with a session and no invokedBy", sessionCall(), []change{set("sourceIPAddress", "connect.amazonaws.com"), set("userAgent", "connect.amazonaws.com")}, CLISession, High},
		{"a federated user of root", sessionCall(), []change{set("userIdentity.type", "FederatedUser"), set("userIdentity.arn", "arn:aws:sts::111122223333:federated-user/bob"), set(session+".sessionIssuer.arn", rootARN)}, CLISession, High},
		{"type Unknown with root's ARN and a session", sessionCall(), []change{set("userIdentity.type", "Unknown")}, CLISession, High},
		{"a bearer token", bareCall(), []change{set("userIdentity.credentialId", "EXAMPLEVHULj")}, CLISession, High},

		// aws_internal
		{"AWS Internal as the address", bareCall(), []change{set("sourceIPAddress", "AWS Internal")}, AWSInternal, High},
		{"AWS Internal with a number", bareCall(), []change{set("sourceIPAddress", "AWS Internal/3")}, AWSInternal, High},
		{"aws.internal as the address", bareCall(), []change{set("sourceIPAddress", "aws.internal")}, AWSInternal, High},
		{"AWS Internal as the caller", serviceCall(), []change{set(invoked, "AWS Internal")}, AWSInternal, High},
		{"a service's event inside AWS", bareCall(), []change{set("eventType", "AwsServiceEvent"), set(invoked, "AWS Internal"), drop("sourceIPAddress")}, AWSInternal, High},

		// unattributed
		{"nothing but an address", bareCall(), nil, Unattributed, High},
		{"a browser without a key or a session", bareCall(), []change{set("userAgent", "Mozilla/5.0")}, Unattributed, High},
		{"a sign-in's name without a key or a session", bareCall(), []change{set("signInSessionArn", "arn:aws:signin:eu-west-1:111122223333:session/0c5d")}, Unattributed, High},
		{"nothing at all", bareCall(), []change{drop("sourceIPAddress"), drop("userAgent"), drop("eventType"), drop("eventSource"), drop("eventName")}, Unattributed, High},
		{"a service's event without a service", bareCall(), []change{set("eventType", "AwsServiceEvent")}, Unattributed, High},
		{"a service's name in address and user agent alone", serviceCall(), []change{drop(invoked)}, Unattributed, High},
		{"a service's name in the user agent alone", bareCall(), []change{set("userAgent", "autoscaling.amazonaws.com")}, Unattributed, High},
		{"a service's name in invokedBy alone", serviceCall(), []change{set("sourceIPAddress", office)}, Unattributed, High},
		{"type Unknown with root's ARN and a service's evidence", serviceCall(), []change{set("userIdentity.type", "Unknown")}, Unattributed, High},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := judge(t, edit(tt.record, tt.changes...))
			if got.Verdict != Unexplained || got.Reason != tt.reason || got.Severity != tt.severity {
				t.Errorf("got %s %s %s, want unexplained %s %s", got.Verdict, got.Reason, got.Severity, tt.reason, tt.severity)
			}
			if !inClosedList(got) {
				t.Errorf("%s %s %s is not in Reasons()", got.Verdict, got.Reason, got.Severity)
			}
		})
	}
}

// inClosedList reports whether the finding's verdict, reason and severity are a combination of
// [Reasons].
func inClosedList(f Finding) bool {
	return slices.ContainsFunc(Reasons(), func(r ReasonInfo) bool {
		return r.Verdict == f.Verdict && r.Reason == f.Reason && slices.Contains(r.Severities, f.Severity)
	})
}

func TestReasonsIsTheTableOfTheRules(t *testing.T) {
	want := []struct {
		verdict    Verdict
		reason     Reason
		severity   Severity
		severities []Severity
	}{
		{ServiceInvoked, KnownService, None, []Severity{None}},
		{ServiceInvoked, OtherService, Info, []Severity{Info}},
		{Unexplained, NoRootARN, Low, []Severity{Critical, High, Low}},
		{Unexplained, SignIn, High, []Severity{Critical, High, Medium}},
		{Unexplained, AssumedRoot, Medium, []Severity{Critical, High, Medium}},
		{Unexplained, AccessKey, Critical, []Severity{Critical}},
		{Unexplained, Forwarded, High, []Severity{Critical, High}},
		{Unexplained, ConsoleSession, High, []Severity{Critical, High}},
		{Unexplained, CLISession, High, []Severity{Critical, High}},
		{Unexplained, AWSInternal, High, []Severity{Critical, High}},
		{Unexplained, Unattributed, High, []Severity{Critical, High}},
	}
	got := Reasons()
	if len(got) != len(want) {
		t.Fatalf("%d reasons, want %d", len(got), len(want))
	}
	for i, w := range want {
		g := got[i]
		if g.Verdict != w.verdict || g.Reason != w.reason || g.Severity != w.severity || !slices.Equal(g.Severities, w.severities) {
			t.Errorf("row %d is %+v, want %+v", i, g, w)
		}
		if g.Means == "" || g.Why == "" || g.Source == "" || !slices.Contains(Severities(), g.Severity) {
			t.Errorf("row %d is incomplete: %+v", i, g)
		}
	}
}

func TestCallersCannotChangeTheTable(t *testing.T) {
	Reasons()[0].Severities[0] = Critical
	Severities()[0] = None
	if Reasons()[0].Severities[0] != None || Severities()[0] != Critical {
		t.Error("a returned list is shared")
	}
}
