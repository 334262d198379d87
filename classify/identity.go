package classify

import (
	"strings"
)

// Identity is `userIdentity`: who made the call, and with which credentials
// (AWS CloudTrail User Guide, "CloudTrail userIdentity element").
type Identity struct {
	// Type must be a string in the record; absent and null are "". The members principalId (it may
	// have lost its leading zero) and userName (the account's alias) prove nothing and are not
	// read.
	Type        string `json:"type"`
	ARN         Text   `json:"arn"`
	AccountID   Text   `json:"accountId"`
	AccessKeyID Text   `json:"accessKeyId"` // may be absent or "" for security reasons

	SessionContext SessionContext `json:"sessionContext"`

	InvokedBy         Text `json:"invokedBy"`         // the service that made the request
	InvokedByDelegate Text `json:"invokedByDelegate"` // {accountId} of a partner with delegated access
	OnBehalfOf        Text `json:"onBehalfOf"`        // the Identity Center user for whom the request was made
	InScopeOf         Text `json:"inScopeOf"`         // the workload to which the credentials were issued
	CredentialID      Text `json:"credentialId"`      // of a bearer token
	SignInSessionARN  Text `json:"signInSessionArn"`
}

// SessionContext is the session of temporary credentials or of a console user.
type SessionContext struct {
	SessionIssuer    SessionIssuer     `json:"sessionIssuer"`
	Attributes       SessionAttributes `json:"attributes"`
	AssumedRoot      Text              `json:"assumedRoot"` // "true" for a session of sts:AssumeRoot
	SignInSessionARN Text              `json:"signInSessionArn"`
	// Raw is the whole element, members that are not known here included: whether there was a
	// session at all is decided on it.
	Raw Text `json:"-"`
}

// SessionIssuer is who gave the session its credentials: of a FederatedUser, the root or IAM user
// that called sts:GetFederationToken.
type SessionIssuer struct {
	Type Text `json:"type"`
	ARN  Text `json:"arn"`
}

// SessionAttributes is when the session was opened, and how.
type SessionAttributes struct {
	CreationDate                 Text `json:"creationDate"`
	MFAAuthenticated             Text `json:"mfaAuthenticated"`
	SessionCredentialFromConsole Text `json:"sessionCredentialFromConsole"`
}

// UnmarshalJSON takes any JSON value: a session that is not an object is a session all the same.
func (s *SessionContext) UnmarshalJSON(b []byte) error {
	err := readMembers(b,
		member{"sessionIssuer", &s.SessionIssuer},
		member{"attributes", &s.Attributes},
		member{"assumedRoot", &s.AssumedRoot},
		member{"signInSessionArn", &s.SignInSessionARN},
	)
	if err != nil {
		return err
	}
	return s.Raw.UnmarshalJSON(b)
}

// UnmarshalJSON takes any JSON value.
func (s *SessionIssuer) UnmarshalJSON(b []byte) error {
	return readMembers(b, member{"type", &s.Type}, member{"arn", &s.ARN})
}

// UnmarshalJSON takes any JSON value.
func (s *SessionAttributes) UnmarshalJSON(b []byte) error {
	return readMembers(b,
		member{"creationDate", &s.CreationDate},
		member{"mfaAuthenticated", &s.MFAAuthenticated},
		member{"sessionCredentialFromConsole", &s.SessionCredentialFromConsole},
	)
}

// neverRoot are the identity types that AWS documents for everybody but root (AWS CloudTrail User
// Guide, "CloudTrail userIdentity element", type; SAMLUser and WebIdentityUser under the STS
// calls). FederatedUser is not among them, because root can call sts:GetFederationToken, nor is
// Unknown, because it says nothing.
var neverRoot = map[string]bool{
	"AssumedRole":        true,
	"AWSAccount":         true, // a root of another account shows up as this
	"AWSService":         true,
	"Directory":          true,
	"IAMUser":            true,
	"IdentityCenterUser": true,
	"Role":               true,
	"SAMLUser":           true,
	"WebIdentityUser":    true,
}

// NeverRoot reports whether userIdentity.type is one of the documented types that are not root
// whatever else the record says. Every other type, in another case, unknown or empty, needs
// [IsRoot].
func NeverRoot(identityType string) bool { return neverRoot[identityType] }

// IsRoot reports whether root made the call: the type is Root; or the credentials are root's
// without the type saying so, that is, a FederatedUser whose session root issued, or a type that
// says nothing about the caller beside the ARN of an account's root. An ARN of a root under a type
// of [NeverRoot] is not root: it stands in sloppy documentation only.
func IsRoot(ev *Event) bool {
	id := &ev.UserIdentity
	switch {
	case NeverRoot(id.Type):
		return false
	case strings.EqualFold(strings.TrimSpace(id.Type), "Root"):
		// AWS writes Root. Any other spelling is still no reason to lose a call.
		return true
	}
	root := isRootARN(id.ARN)
	return root || id.SessionContext.SessionIssuer.isRoot()
}

func (s *SessionIssuer) isRoot() bool {
	return isRootARN(s.ARN) || s.Type.name() == "root"
}

// isRootARN reports whether an ARN is an account's root: arn:<partition>:iam::<account>:root. The
// partitions are aws, aws-cn, aws-us-gov, aws-eusc, aws-iso and what AWS adds.
func isRootARN(arn Text) bool {
	part := strings.Split(arn.name(), ":")
	if len(part) != 6 || part[0] != "arn" || part[2] != "iam" || part[3] != "" || part[5] != "root" {
		return false
	}
	return (part[1] == "aws" || strings.HasPrefix(part[1], "aws-")) && IsAccountID(part[4])
}

// UnknownAccount is the account of a call whose record and envelope name none: a label must not
// take whatever stands in a record.
const UnknownAccount = "unknown"

// account is the account whose root made the call.
func account(ev *Event) string {
	candidates := [...]string{
		strings.TrimSpace(ev.UserIdentity.AccountID.Value), arnAccount(ev.UserIdentity.ARN),
		strings.TrimSpace(ev.RecipientAccountID.Value), strings.TrimSpace(ev.EnvelopeAccount),
	}
	for _, id := range candidates {
		if IsAccountID(id) {
			return id
		}
	}
	return UnknownAccount
}

// arnAccount is the fifth part of an ARN, whatever it names.
func arnAccount(arn Text) string {
	part := strings.SplitN(arn.name(), ":", 6)
	if len(part) < 6 || part[0] != "arn" {
		return ""
	}
	return part[4]
}

// IsAccountID reports whether s is the id of an AWS account: 12 ASCII digits.
func IsAccountID(s string) bool {
	if len(s) != 12 {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}
