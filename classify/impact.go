package classify

import "strings"

// Impact is a row of the table of what calls do: the calls that are grave because of what they do,
// whoever makes them.
type Impact struct {
	Service string   // the first label of eventSource, "" for any service
	Names   []string // of events, as CloudTrail writes them
	// Case is the case in which the row counts, in words; "" for every call.
	Case string
	// Severity is the grade that a call gets at least.
	Severity Severity
	// Does is what the call does, in words that follow "this".
	Does string

	when func(*call) bool
}

// impact is what one call does. The zero value is nothing grave.
type impact struct {
	severity Severity
	does     string
}

// The cases of the table. What the request does not say counts as the worse case.
var (
	always   = impactCase{}
	own      = impactCase{"for root itself", (*call).own}
	anothers = impactCase{"for another user", func(c *call) bool { return !c.own() }}
	// The tasks of central root access that remove root's credentials of a member account are its
	// purpose.
	ownNotCentral = impactCase{"for root itself, not by central root access", func(c *call) bool { return c.own() && !c.has(markAssumedRoot) }}
	ownCentral    = impactCase{"for root itself, by central root access", func(c *call) bool { return c.own() && c.has(markAssumedRoot) }}
	central       = impactCase{"by central root access", func(c *call) bool { return c.has(markAssumedRoot) }}
	ownActive     = impactCase{"to Active, for root itself", func(c *call) bool { return c.own() && c.param().Status.name() != "inactive" }}
	othersActive  = impactCase{"to Active, for another user", func(c *call) bool { return !c.own() && c.param().Status.name() != "inactive" }}
	rootsDevice   = impactCase{"root's device, not by central root access", func(c *call) bool { return c.rootsDevice() && !c.has(markAssumedRoot) }}
	anyDevice     = impactCase{"a device that may be root's, not by central root access", func(c *call) bool { return !c.rootsDevice() && !c.has(markAssumedRoot) }}
	disabled      = impactCase{"with enable false", func(c *call) bool { return c.param().Enable.isFalse() }}
	shared        = impactCase{"for others", (*call).shares}
	opened        = impactCase{"with a block taken away", (*call).opens}
)

type impactCase struct {
	words string
	when  func(*call) bool
}

func row(service string, in impactCase, severity Severity, does string, names ...string) Impact {
	return Impact{Service: service, Names: names, Case: in.words, Severity: severity, Does: does, when: in.when}
}

// impacts are the rows of [Impacts]. The names are those of the AWS Service Authorization
// Reference, "Actions defined by …", and of the CloudTrail User Guide for the events of the sign-in
// page. A call may fit several rows; the gravest counts, and of equals the first.
var impacts = []Impact{
	// Root's own credentials are made or changed.
	row("iam", own, Critical, "gives root a long-lived access key", "CreateAccessKey"),
	row("iam", ownActive, Critical, "makes an access key of root's active", "UpdateAccessKey"),
	row("iam", ownNotCentral, Critical, "gives root a password for the console", "CreateLoginProfile"),
	row("iam", ownCentral, High, "gives the member account's root its password back", "CreateLoginProfile"),
	row("iam", own, Critical, "changes root's password", "UpdateLoginProfile", "ChangePassword"),
	row("iam", own, Critical, "gives root a signing certificate", "UploadSigningCertificate"),
	row("", always, Critical, "changes root's password", "PasswordUpdated", "PasswordRecoveryCompleted"),
	row("", always, Critical, "changes root's e-mail address", "EmailUpdated"),
	row("account", always, Critical, "changes a root user's e-mail address", "StartPrimaryEmailUpdate", "AcceptPrimaryEmailUpdate"),
	row("iam", own, Critical, "gives root another second factor", "EnableMFADevice"),
	row("iam", ownNotCentral, Critical, "takes a second factor away from root", "DeactivateMFADevice"),
	row("iam", rootsDevice, Critical, "deletes root's MFA device", "DeleteVirtualMFADevice"),
	row("iam", anyDevice, High, "deletes an MFA device, which may be root's", "DeleteVirtualMFADevice"),
	row("signin", always, Critical, "makes a bearer token with root's permissions", "CreateBearerToken"),

	// Logging or detection is switched off.
	row("cloudtrail", always, Critical, "changes or ends the recording of events by CloudTrail",
		"StopLogging", "DeleteTrail", "UpdateTrail", "PutEventSelectors", "DeleteEventDataStore", "StopEventDataStoreIngestion"),
	row("guardduty", always, Critical, "ends the watch by GuardDuty, or leaves it", "DeleteDetector", "DisassociateFromAdministratorAccount",
		"DisassociateFromMasterAccount", "DisassociateMembers", "DeleteMembers", "StopMonitoringMembers", "DisableOrganizationAdminAccount"),
	row("guardduty", disabled, Critical, "switches GuardDuty off", "UpdateDetector"),
	row("securityhub", always, Critical, "ends the watch by Security Hub, or leaves it", "DisableSecurityHub", "DisableSecurityHubV2",
		"DisassociateFromAdministratorAccount", "DisassociateFromMasterAccount", "DisassociateMembers", "DeleteMembers", "DisableOrganizationAdminAccount"),
	row("config", always, Critical, "ends the recording by AWS Config", "StopConfigurationRecorder", "DeleteConfigurationRecorder",
		"DeleteServiceLinkedConfigurationRecorder", "DeleteDeliveryChannel"),
	row("access-analyzer", always, Critical, "ends the watch by IAM Access Analyzer", "DeleteAnalyzer"),

	// The account is closed, or leaves its organisation.
	row("", always, Critical, "closes an account", "CloseAccount"),
	row("organizations", always, Critical, "takes an account out of its organisation", "LeaveOrganization", "RemoveAccountFromOrganization", "DeleteOrganization"),

	// Who may sign in is changed. PutConsoleAuthorizationConfiguration only makes the console ask
	// these policies.
	row("signin", always, Critical, "changes who may sign in to the console",
		"PutResourcePermissionStatement", "DeleteResourcePermissionStatement", "DeleteConsoleAuthorizationConfiguration"),

	// Access is made persistent.
	row("iam", anothers, High, "gives a user a long-lived access key", "CreateAccessKey"),
	row("iam", othersActive, High, "makes a user's access key active", "UpdateAccessKey"),
	row("iam", anothers, High, "gives a user a password for the console", "CreateLoginProfile", "UpdateLoginProfile"),
	row("iam", anothers, High, "gives a user a signing certificate", "UploadSigningCertificate"),
	row("iam", always, High, "gives a user another kind of credential", "UploadSSHPublicKey", "CreateServiceSpecificCredential", "ResetServiceSpecificCredential"),
	row("iam", always, High, "creates a user", "CreateUser"),
	row("iam", always, High, "creates a role", "CreateRole"),
	row("iam", always, High, "changes what a user, a group or a role may do", "AttachUserPolicy", "AttachGroupPolicy", "AttachRolePolicy",
		"PutUserPolicy", "PutGroupPolicy", "PutRolePolicy", "AddUserToGroup", "CreatePolicy", "CreatePolicyVersion", "SetDefaultPolicyVersion",
		"DeleteUserPermissionsBoundary", "DeleteRolePermissionsBoundary", "PutUserPermissionsBoundary", "PutRolePermissionsBoundary"),
	row("iam", always, High, "changes who may take on a role", "UpdateAssumeRolePolicy", "AddRoleToInstanceProfile"),
	row("iam", always, High, "trusts an identity provider", "CreateSAMLProvider", "UpdateSAMLProvider", "CreateOpenIDConnectProvider",
		"AddClientIDToOpenIDConnectProvider", "UpdateOpenIDConnectProviderThumbprint"),
	row("rolesanywhere", always, High, "trusts certificates from outside", "CreateTrustAnchor", "UpdateTrustAnchor", "EnableTrustAnchor"),

	// Something is made public, or lost for good.
	row("ec2", shared, High, "shares a snapshot or an image with others", "ModifySnapshotAttribute", "ModifyImageAttribute"),
	row("ec2", always, High, "lets snapshots or images be made public", "DisableSnapshotBlockPublicAccess", "DisableImageBlockPublicAccess"),
	row("rds", shared, High, "shares a database's snapshot with others", "ModifyDBSnapshotAttribute", "ModifyDBClusterSnapshotAttribute"),
	row("s3", always, High, "changes who may use a bucket", "PutBucketPolicy", "PutBucketAcl", "PutObjectAcl"),
	row("s3", always, High, "lets a bucket be made public", "DeleteBucketPublicAccessBlock", "DeleteAccountPublicAccessBlock", "DeletePublicAccessBlock"),
	row("s3", opened, High, "lets a bucket be made public", "PutBucketPublicAccessBlock", "PutAccountPublicAccessBlock", "PutPublicAccessBlock"),
	row("kms", always, High, "lets others use a key", "CreateGrant", "PutKeyPolicy"),
	row("kms", always, High, "deletes a key, and with it what it encrypts", "ScheduleKeyDeletion", "DeleteImportedKeyMaterial"),

	// Central root access removes a policy that locked others out.
	row("s3", central, High, "removes the policy that shut others out of a bucket", "DeleteBucketPolicy"),
	row("sqs", central, High, "replaces the policy that shut others out of a queue", "SetQueueAttributes"),
}

// Impacts lists what calls are graded for besides their reason. It is a closed list; it only
// raises, and a call that failed is not raised.
func Impacts() []Impact {
	list := make([]Impact, len(impacts))
	for i, r := range impacts {
		r.Names = append([]string(nil), r.Names...)
		list[i] = r
	}
	return list
}

// impactsOf are the rows of an event's name, in lower case.
var impactsOf = func() map[string][]*Impact {
	byName := make(map[string][]*Impact)
	for i := range impacts {
		for _, name := range impacts[i].Names {
			name = strings.ToLower(name)
			byName[name] = append(byName[name], &impacts[i])
		}
	}
	return byName
}()

// readImpact is what a call does. Nothing was done by one that failed.
func readImpact(c *call) (out impact) {
	if c.failed {
		return out
	}
	service, _, _ := strings.Cut(c.ev.EventSource.name(), ".")
	if c.called == calledSignIn { // in a region's name too: us-east-1.signin.amazonaws.com
		service = "signin"
	}
	for _, r := range impactsOf[c.ev.EventName.name()] {
		if r.Service != "" && r.Service != service || r.when != nil && !r.when(c) {
			continue
		}
		if out.severity != r.Severity && worse(out.severity, r.Severity) == r.Severity {
			out = impact{r.Severity, r.Does}
		}
	}
	return out
}

func (c *call) param() *RequestParameters { return &c.ev.RequestParameters }

// own reports whether the request is about root itself: it names no user. In the console root's MFA
// devices are those of "AWS ROOT USER"; a user whose name is root counts as root too, which is the
// worse case.
func (c *call) own() bool {
	switch c.param().UserName.name() {
	case "", "root", "aws root user", "<root_account>":
		return true
	}
	return false
}

// rootsDevice reports whether a device is root's by its serial number, or is not named. Root's
// devices may have other names since it can have several (IAM User Guide, "Multi-factor
// authentication for the root user").
func (c *call) rootsDevice() bool {
	serial := c.param().SerialNumber
	return serial.Empty() || serial.Odd || strings.Contains(serial.name(), "root")
}

// shares reports whether the permissions of a snapshot or an image are widened; those that are
// taken away do no harm. operationType is the older way to say it (EC2 API Reference,
// ModifyImageAttribute and ModifySnapshotAttribute).
func (c *call) shares() bool {
	p := c.param()
	for _, t := range []Text{p.CreateVolumePermission, p.LaunchPermission} {
		if strings.Contains(t.Value, `"add"`) {
			return true
		}
	}
	return p.OperationType.name() == "add" || !p.ValuesToAdd.Empty()
}

// opens reports whether one of the four blocks on public access is not set. The request replaces
// all of them, and one that it does not name is off (S3 API Reference,
// PublicAccessBlockConfiguration).
func (c *call) opens() bool {
	b := c.param().PublicAccessBlock
	return !(b.BlockPublicACLs.isTrue() && b.IgnorePublicACLs.isTrue() && b.BlockPublicPolicy.isTrue() && b.RestrictPublicBuckets.isTrue())
}
