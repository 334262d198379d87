package classify

import (
	"maps"
	"slices"
	"testing"
)

// A name more in one of these lists can silence a page or change what it says, and no test of the
// rules would notice: a known service more is a service that never pages. So each entry stands here
// a second time, with its evidence.
func TestListsAreClosed(t *testing.T) {
	marks := make([]string, 0, len(clientMarks))
	for _, m := range clientMarks {
		marks = append(marks, m.field)
	}
	never := slices.Collect(maps.Keys(neverRoot))
	for _, tt := range []struct {
		name     string
		entries  []string
		evidence map[string]string
	}{
		{"knownServices", knownServices, map[string]string{
			"autoscaling":          "AWS re:Post, \"Root\" in CloudTrail logs; public records of 2015 to 2017",
			"elasticloadbalancing": "AWS re:Post, \"Root\" in CloudTrail logs; public records of 2015 to 2017",
		}},
		{"serviceSuffixes", serviceSuffixes, map[string]string{
			".amazonaws.com":    "CloudTrail User Guide, eventSource; records of the commercial and GovCloud partitions",
			".amazonaws.com.cn": "AWS China, service principals",
			".amazonaws.eu":     "AWS European Sovereign Cloud, service principals",
		}},
		{"agents", agents, map[string]string{
			"aws-mcp":    "IAM User Guide, aws:CalledViaAWSMCP",
			"cloud9":     "Cloud9 User Guide, \"AWS managed temporary credentials\"",
			"cloudshell": "CloudShell User Guide: commands run with the console's credentials",
			"q":          "Amazon Q Developer User Guide, q:PassRequest",
		}},
		{"consoles", consoles, map[string]string{
			"console": "records: console.ec2.amazonaws.com",
			"signin":  "records up to 2020: invokedBy signin.amazonaws.com",
		}},
		{"hostLabels", hostLabels, map[string]string{
			"compute":   "EC2 User Guide, public host names of instances",
			"compute-1": "EC2 User Guide, public host names of instances in us-east-1",
			"elb":       "Elastic Load Balancing User Guide, host names of load balancers",
		}},
		{"internalNames", internalNames, map[string]string{
			"aws internal":           "CloudTrail User Guide, sourceIPAddress: AWS Internal/#",
			"aws.internal":           "seen in a record",
			"internal.amazonaws.com": "CloudTrail User Guide, the older form",
		}},
		{"consoleAgentPrefixes", consoleAgentPrefixes, map[string]string{
			"signin.":  "records: signin.amazonaws.com",
			"console.": "records: console.ec2.amazonaws.com",
		}},
		{"consoleAgentParts", consoleAgentParts, map[string]string{
			"s3console": "records: [S3Console/0.4]", "ec2console": "records: EC2ConsoleFrontend", "supportconsole": "records",
			"supportplansconsole": "records: AWS-SupportPlansConsole", "supportcenterconsole": "records", "rdsconsole": "records",
			"cloudwatchconsole": "records: AWS CloudWatch Console", "cloudtrailconsole": "records", "awscloudtrail": "records: [AWSCloudTrail, aws-internal/3",
			"coral": "records: Coral/Netty4, Coral/Jakarta",
		}},
		{"consoleBackEnd and browserPrefix", []string{consoleBackEnd, browserPrefix}, map[string]string{
			"aws-internal/": "records: aws-internal/3 aws-sdk-java/1.11.714",
			"mozilla/":      "RFC 9110, User-Agent; records",
		}},
		{"clientMarks", marks, map[string]string{
			"tlsDetails":                   "CloudTrail User Guide, record contents",
			"sessionCredentialFromConsole": "CloudTrail User Guide, record contents",
			"userIdentity.sessionContext.attributes.sessionCredentialFromConsole": "CloudTrail User Guide, userIdentity element",
			"userIdentity.invokedByDelegate":                                      "CloudTrail User Guide, userIdentity element",
			"userIdentity.sessionContext.assumedRoot":                             "CloudTrail User Guide, userIdentity element",
			"signInSessionArn":                                                    "AWS Sign-In User Guide, \"Sign-In with OAuth 2.0\"",
			"userIdentity.onBehalfOf":                                             "CloudTrail User Guide, userIdentity element",
			"userIdentity.inScopeOf":                                              "CloudTrail User Guide, userIdentity element",
		}},
		{"neverRoot", never, map[string]string{
			"AssumedRole": "CloudTrail User Guide, userIdentity element, type", "AWSAccount": "the same", "AWSService": "the same", "Directory": "the same",
			"IAMUser": "the same", "IdentityCenterUser": "the same", "Role": "the same", "SAMLUser": "the same, STS calls", "WebIdentityUser": "the same, STS calls",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, entry := range tt.entries {
				if tt.evidence[entry] == "" {
					t.Errorf("%q has no evidence in this test", entry)
				}
			}
			for entry := range tt.evidence {
				if !slices.Contains(tt.entries, entry) {
					t.Errorf("%q is not in the list any more", entry)
				}
			}
		})
	}
}
