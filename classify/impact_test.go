package classify

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestImpact(t *testing.T) {
	const central = "userIdentity.sessionContext.assumedRoot"
	does := func(service, name string, more ...change) []change {
		return append([]change{set("eventSource", service+".amazonaws.com"), set("eventName", name)}, more...)
	}
	param := func(name string, value any) change { return set("requestParameters."+name, value) }
	blocks := func(last any) map[string]any {
		return map[string]any{"BlockPublicAcls": true, "IgnorePublicAcls": true, "BlockPublicPolicy": true, "RestrictPublicBuckets": last}
	}
	for _, tt := range []struct {
		name     string
		changes  []change
		severity Severity // of a session's call, which starts high
		impact   string
	}{
		{"a read", does("iam", "ListUsers"), High, ""},
		{"an access key for root", does("iam", "CreateAccessKey"), Critical, "gives root a long-lived access key"},
		{"an access key for root, as the request says null", does("iam", "CreateAccessKey", set("requestParameters", null)), Critical, "gives root a long-lived access key"},
		{"an access key for a user", does("iam", "CreateAccessKey", param("userName", "bob")), High, "gives a user a long-lived access key"},
		{"an access key that could not be made", does("iam", "CreateAccessKey", set("errorCode", "LimitExceeded")), High, ""},
		{"an access key of another service's making", does("transfer", "CreateAccessKey"), High, ""},
		{"the name in another case", does("IAM", "createaccesskey"), Critical, "gives root a long-lived access key"},
		{"a key made active", does("iam", "UpdateAccessKey", param("status", "Active")), Critical, "makes an access key of root's active"},
		{"a key made inactive", does("iam", "UpdateAccessKey", param("status", "Inactive")), High, ""},
		{"a key made something that the record does not say", does("iam", "UpdateAccessKey"), Critical, "makes an access key of root's active"},
		{"a user's key made active", does("iam", "UpdateAccessKey", param("status", "Active"), param("userName", "bob")), High, "makes a user's access key active"},
		{"a password for root", does("iam", "CreateLoginProfile"), Critical, "gives root a password for the console"},
		{"a password for a user", does("iam", "CreateLoginProfile", param("userName", "bob")), High, "gives a user a password for the console"},
		{"root's password changed", does("iam", "UpdateLoginProfile"), Critical, "changes root's password"},
		{"a user's password changed", does("iam", "UpdateLoginProfile", param("userName", "bob")), High, "gives a user a password for the console"},
		{"root's MFA device enabled", does("iam", "EnableMFADevice", param("userName", "AWS ROOT USER")), Critical, "gives root another second factor"},
		{"root's MFA device deactivated", does("iam", "DeactivateMFADevice"), Critical, "takes a second factor away from root"},
		{"a user's MFA device deactivated", does("iam", "DeactivateMFADevice", param("userName", "bob")), High, ""},
		{"root's MFA device deleted", does("iam", "DeleteVirtualMFADevice", param("serialNumber", "arn:aws:iam::111122223333:mfa/root-account-mfa-device")), Critical, "deletes root's MFA device"},
		{"an MFA device deleted", does("iam", "DeleteVirtualMFADevice", param("serialNumber", "arn:aws:iam::111122223333:mfa/phone")), High, "deletes an MFA device, which may be root's"},
		{"root's e-mail address", does("account", "AcceptPrimaryEmailUpdate"), Critical, "changes a root user's e-mail address"},
		{"a bearer token", does("signin", "CreateBearerToken"), Critical, "makes a bearer token with root's permissions"},
		{"a bearer token, at an endpoint with its region", does("us-east-1.signin", "CreateBearerToken"), Critical, "makes a bearer token with root's permissions"},
		{"CloudTrail stopped", does("cloudtrail", "StopLogging"), Critical, "changes or ends the recording of events by CloudTrail"},
		{"CloudTrail could not be stopped", does("cloudtrail", "StopLogging", set("errorCode", "AccessDenied")), High, ""},
		{"CloudTrail changed, and a text of the caller's in the response reads Failure", does("cloudtrail", "UpdateTrail", set("responseElements.s3KeyPrefix", "Failure")), Critical, "changes or ends the recording of events by CloudTrail"},
		{"CloudTrail changed, and a service's own word beside it is false", does("cloudtrail", "UpdateTrail", set("additionalEventData.success", "false")), Critical, "changes or ends the recording of events by CloudTrail"},
		{"CloudTrail could not be changed, and a text of the caller's in the response reads Success", does("cloudtrail", "UpdateTrail", set("errorCode", "AccessDenied"), set("responseElements.name", "Success")), High, ""},
		{"CloudTrail looked at", does("cloudtrail", "DescribeTrails"), High, ""},
		{"GuardDuty disabled", does("guardduty", "UpdateDetector", param("enable", false)), Critical, "switches GuardDuty off"},
		{"GuardDuty changed", does("guardduty", "UpdateDetector", param("findingPublishingFrequency", "SIX_HOURS")), High, ""},
		{"Security Hub left", does("securityhub", "DisassociateFromAdministratorAccount"), Critical, "ends the watch by Security Hub, or leaves it"},
		{"Config's recorder stopped", does("config", "StopConfigurationRecorder"), Critical, "ends the recording by AWS Config"},
		{"an analyser deleted", does("access-analyzer", "DeleteAnalyzer"), Critical, "ends the watch by IAM Access Analyzer"},
		{"the account closed", does("account", "CloseAccount"), Critical, "closes an account"},
		{"the organisation left", does("organizations", "LeaveOrganization"), Critical, "takes an account out of its organisation"},
		{"who may sign in", does("signin", "PutResourcePermissionStatement"), Critical, "changes who may sign in to the console"},
		{"the console made to ask who may sign in", does("signin", "PutConsoleAuthorizationConfiguration"), High, ""},
		{"a user", does("iam", "CreateUser", param("userName", "bob")), High, "creates a user"},
		{"role trust", does("iam", "UpdateAssumeRolePolicy"), High, "changes who may take on a role"},
		{"a snapshot shared", does("ec2", "ModifySnapshotAttribute", param("createVolumePermission", map[string]any{"add": map[string]any{"items": []any{map[string]any{"group": "all"}}}})), High, "shares a snapshot or an image with others"},
		{"a snapshot shared no more", does("ec2", "ModifySnapshotAttribute", param("createVolumePermission", map[string]any{"remove": map[string]any{}})), High, ""},
		{"a database's snapshot shared", does("rds", "ModifyDBSnapshotAttribute", param("valuesToAdd", []string{"all"})), High, "shares a database's snapshot with others"},
		{"a bucket's policy", does("s3", "PutBucketPolicy"), High, "changes who may use a bucket"},
		{"a snapshot shared, said the older way", does("ec2", "ModifySnapshotAttribute", param("operationType", "add"), param("groupNames", []string{"all"})), High, "shares a snapshot or an image with others"},
		{"a snapshot shared no more, said the older way", does("ec2", "ModifySnapshotAttribute", param("operationType", "remove")), High, ""},
		{"a block on public access taken away", does("s3", "PutBucketPublicAccessBlock", param("PublicAccessBlockConfiguration", blocks(false))), High, "lets a bucket be made public"},
		{"a block on public access not named, which takes it away", does("s3", "PutBucketPublicAccessBlock", param("PublicAccessBlockConfiguration", map[string]any{"BlockPublicAcls": true})), High, "lets a bucket be made public"},
		{"no block on public access named", does("s3", "PutAccountPublicAccessBlock", param("PublicAccessBlockConfiguration", "")), High, "lets a bucket be made public"},
		{"all blocks on public access", does("s3", "PutBucketPublicAccessBlock", param("PublicAccessBlockConfiguration", blocks(true))), High, ""},
		{"all blocks on public access, as strings", does("s3", "PutAccountPublicAccessBlock", param("PublicAccessBlockConfiguration", blocks("true"))), High, ""},
		{"a bucket's policy deleted, by an ordinary session", does("s3", "DeleteBucketPolicy"), High, ""},
		{"request parameters that are no object", does("iam", "CreateAccessKey", set("requestParameters", "x")), Critical, "gives root a long-lived access key"},

		{"central root access: a read", does("iam", "ListAccessKeys", set(central, "true"), set("readOnly", true)), Medium, ""},
		{"central root access: another write", does("iam", "DeleteLoginProfile", set(central, "true")), Medium, ""},
		{"central root access: root's MFA device removed, which is its purpose", does("iam", "DeactivateMFADevice", set(central, "true")), Medium, ""},
		{"central root access: a password", does("iam", "CreateLoginProfile", set(central, "true")), High, "gives the member account's root its password back"},
		{"central root access: a password, failed", does("iam", "CreateLoginProfile", set(central, "true"), set("errorCode", "AccessDenied")), Medium, ""},
		{"central root access: a bucket's policy deleted", does("s3", "DeleteBucketPolicy", set(central, "true")), High, "removes the policy that shut others out of a bucket"},
		{"central root access: a queue's policy", does("sqs", "SetQueueAttributes", set(central, "true")), High, "replaces the policy that shut others out of a queue"},
		{"central root access: an access key, which no task of it allows", does("iam", "CreateAccessKey", set(central, "true")), Critical, "gives root a long-lived access key"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := judge(t, edit(sessionCall(), tt.changes...))
			if got.Severity != tt.severity || got.Impact != tt.impact {
				t.Errorf("got %s, %q; want %s, %q", got.Severity, got.Impact, tt.severity, tt.impact)
			}
			if told := strings.HasSuffix(got.Explanation, "; this "+tt.impact); tt.impact != "" && !told {
				t.Errorf("the explanation does not say so: %s", got.Explanation)
			}
		})
	}
}

func TestImpactOfSignInEvents(t *testing.T) {
	outcome := func(name, outcome string) []change {
		return []change{set("eventName", name), set("responseElements", map[string]any{name: outcome})}
	}
	for _, tt := range []struct {
		name     string
		changes  []change
		severity Severity
		impact   string
	}{
		{"a login", nil, High, ""},
		{"the password updated", outcome("PasswordUpdated", "Success"), Critical, "changes root's password"},
		{"a recovery completed", outcome("PasswordRecoveryCompleted", "Success"), Critical, "changes root's password"},
		{"a recovery that failed", outcome("PasswordRecoveryCompleted", "Failure"), Medium, ""},
		{"a recovery asked for", outcome("PasswordRecoveryRequested", "Success"), High, ""},
		{"the e-mail address updated, under another source", append(outcome("EmailUpdated", "Success"), set("eventSource", "iam.amazonaws.com")), Critical, "changes root's e-mail address"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := judge(t, edit(signIn(), tt.changes...))
			if got.Reason != SignIn || got.Severity != tt.severity || got.Impact != tt.impact {
				t.Errorf("got %s %s, %q; want sign_in %s, %q", got.Reason, got.Severity, got.Impact, tt.severity, tt.impact)
			}
		})
	}
}

// A service's own call must never page, whatever it does.
func TestImpactDoesNotRaiseAServicesOwnCall(t *testing.T) {
	got := judge(t, edit(serviceCall(), set("eventSource", "iam.amazonaws.com"), set("eventName", "CreateAccessKey")))
	if got.Verdict != ServiceInvoked || got.Severity != None || got.Impact != "" {
		t.Errorf("got %s %s, %q", got.Verdict, got.Severity, got.Impact)
	}
}

// The table is closed: a row or a name that is added, goes or changes its grade stands here too,
// with the case in which it counts. A name that is missing from the table pages as its reason says,
// no higher; a name too many raises a page.
func TestTheTableOfImpactsIsClosed(t *testing.T) {
	want := strings.Split(strings.TrimSpace(closedImpacts), "\n")
	var got []string
	for _, r := range Impacts() {
		for _, name := range r.Names {
			service := r.Service
			if service == "" {
				service = "*"
			}
			got = append(got, strings.TrimSpace(fmt.Sprintf("%s %s:%s %s", r.Severity, service, name, r.Case)))
		}
		if r.Does == "" || r.Severity != Critical && r.Severity != High {
			t.Errorf("a row is incomplete: %+v", r)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	for _, line := range got {
		if !slices.Contains(want, line) {
			t.Errorf("not in this test's list: %s", line)
		}
	}
	for _, line := range want {
		if !slices.Contains(got, line) {
			t.Errorf("not in the table any more: %s", line)
		}
	}
	if len(slices.Compact(got)) != len(want) {
		t.Error("a name stands twice for the same case")
	}
}

// closedImpacts has a line for each name: grade, service, event and case.
const closedImpacts = `
critical *:CloseAccount
critical *:EmailUpdated
critical *:PasswordRecoveryCompleted
critical *:PasswordUpdated
critical access-analyzer:DeleteAnalyzer
critical account:AcceptPrimaryEmailUpdate
critical account:StartPrimaryEmailUpdate
critical cloudtrail:DeleteEventDataStore
critical cloudtrail:DeleteTrail
critical cloudtrail:PutEventSelectors
critical cloudtrail:StopEventDataStoreIngestion
critical cloudtrail:StopLogging
critical cloudtrail:UpdateTrail
critical config:DeleteConfigurationRecorder
critical config:DeleteDeliveryChannel
critical config:DeleteServiceLinkedConfigurationRecorder
critical config:StopConfigurationRecorder
critical guardduty:DeleteDetector
critical guardduty:DeleteMembers
critical guardduty:DisableOrganizationAdminAccount
critical guardduty:DisassociateFromAdministratorAccount
critical guardduty:DisassociateFromMasterAccount
critical guardduty:DisassociateMembers
critical guardduty:StopMonitoringMembers
critical guardduty:UpdateDetector with enable false
critical iam:ChangePassword for root itself
critical iam:CreateAccessKey for root itself
critical iam:CreateLoginProfile for root itself, not by central root access
critical iam:DeactivateMFADevice for root itself, not by central root access
critical iam:DeleteVirtualMFADevice root's device, not by central root access
critical iam:EnableMFADevice for root itself
critical iam:UpdateAccessKey to Active, for root itself
critical iam:UpdateLoginProfile for root itself
critical iam:UploadSigningCertificate for root itself
critical organizations:DeleteOrganization
critical organizations:LeaveOrganization
critical organizations:RemoveAccountFromOrganization
critical securityhub:DeleteMembers
critical securityhub:DisableOrganizationAdminAccount
critical securityhub:DisableSecurityHub
critical securityhub:DisableSecurityHubV2
critical securityhub:DisassociateFromAdministratorAccount
critical securityhub:DisassociateFromMasterAccount
critical securityhub:DisassociateMembers
critical signin:CreateBearerToken
critical signin:DeleteConsoleAuthorizationConfiguration
critical signin:DeleteResourcePermissionStatement
critical signin:PutResourcePermissionStatement
high ec2:DisableImageBlockPublicAccess
high ec2:DisableSnapshotBlockPublicAccess
high ec2:ModifyImageAttribute for others
high ec2:ModifySnapshotAttribute for others
high iam:AddClientIDToOpenIDConnectProvider
high iam:AddRoleToInstanceProfile
high iam:AddUserToGroup
high iam:AttachGroupPolicy
high iam:AttachRolePolicy
high iam:AttachUserPolicy
high iam:CreateAccessKey for another user
high iam:CreateLoginProfile for another user
high iam:CreateLoginProfile for root itself, by central root access
high iam:CreateOpenIDConnectProvider
high iam:CreatePolicy
high iam:CreatePolicyVersion
high iam:CreateRole
high iam:CreateSAMLProvider
high iam:CreateServiceSpecificCredential
high iam:CreateUser
high iam:DeleteRolePermissionsBoundary
high iam:DeleteUserPermissionsBoundary
high iam:DeleteVirtualMFADevice a device that may be root's, not by central root access
high iam:PutGroupPolicy
high iam:PutRolePermissionsBoundary
high iam:PutRolePolicy
high iam:PutUserPermissionsBoundary
high iam:PutUserPolicy
high iam:ResetServiceSpecificCredential
high iam:SetDefaultPolicyVersion
high iam:UpdateAccessKey to Active, for another user
high iam:UpdateAssumeRolePolicy
high iam:UpdateLoginProfile for another user
high iam:UpdateOpenIDConnectProviderThumbprint
high iam:UpdateSAMLProvider
high iam:UploadSSHPublicKey
high iam:UploadSigningCertificate for another user
high kms:CreateGrant
high kms:DeleteImportedKeyMaterial
high kms:PutKeyPolicy
high kms:ScheduleKeyDeletion
high rds:ModifyDBClusterSnapshotAttribute for others
high rds:ModifyDBSnapshotAttribute for others
high rolesanywhere:CreateTrustAnchor
high rolesanywhere:EnableTrustAnchor
high rolesanywhere:UpdateTrustAnchor
high s3:DeleteAccountPublicAccessBlock
high s3:DeleteBucketPolicy by central root access
high s3:DeleteBucketPublicAccessBlock
high s3:DeletePublicAccessBlock
high s3:PutAccountPublicAccessBlock with a block taken away
high s3:PutBucketAcl
high s3:PutBucketPolicy
high s3:PutBucketPublicAccessBlock with a block taken away
high s3:PutObjectAcl
high s3:PutPublicAccessBlock with a block taken away
high sqs:SetQueueAttributes by central root access
`
