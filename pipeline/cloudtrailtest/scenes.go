package cloudtrailtest

import (
	"fmt"
	"strings"
	"time"

	"rootwatch/classify"
)

// apiCalls are what people, roles and services do all day.
var apiCalls = []struct{ service, name string }{
	{"ec2", "DescribeInstances"}, {"ec2", "RunInstances"}, {"ec2", "DescribeNetworkInterfaces"}, {"s3", "GetBucketAcl"},
	{"s3", "ListBuckets"}, {"iam", "ListRoles"}, {"iam", "GetRole"}, {"sts", "AssumeRole"}, {"kms", "Decrypt"}, {"kms", "GenerateDataKey"},
	{"logs", "CreateLogStream"}, {"lambda", "ListFunctions20150331"}, {"rds", "DescribeDBInstances"}, {"monitoring", "DescribeAlarms"},
	{"elasticloadbalancing", "DescribeTargetHealth"}, {"ecs", "DescribeTasks"}, {"ssm", "GetParameters"}, {"secretsmanager", "GetSecretValue"},
}

var agents = []string{
	"aws-sdk-go-v2/1.47.7 ua/2.1 os/linux lang/go#1.26.8 md/GOOS#linux md/GOARCH#arm64 api/ec2#1.300.1",
	"Boto3/1.42.3 md/Botocore#1.42.3 ua/2.1 os/linux#6.12.0 md/arch#x86_64 lang/python#3.13.9 md/pyimpl#CPython cfg/retry-mode#standard Botocore/1.42.3",
	"APN/1.0 HashiCorp/1.0 Terraform/1.14.0 (+https://www.terraform.io) terraform-provider-aws/6.20.0 (+https://registry.terraform.io/providers/hashicorp/aws)",
	"aws-cli/2.32.4 md/awscrt#0.29.1 ua/2.1 os/macos#25.1.0 md/arch#arm64 lang/python#3.13.9 md/prompt#off md/command#ec2.describe-instances",
}

// ordinary is a call by anybody but root, with parameters of all sizes: most are small, a few are
// long lists. Some hold the word Root where it means nothing.
func ordinary(t *Traffic) []Record {
	account, call := t.account(), pick(t, apiCalls...)
	name := pick(t, "deploy", "ci", "reader", "platform-admin", "app", "Root", "grafana")
	var identity object
	switch t.random.IntN(6) {
	case 0:
		identity = object{"type": "IAMUser", "principalId": t.key("AIDA"), "arn": "arn:aws:iam::" + account + ":user/" + name, "accountId": account, "accessKeyId": t.key("AKIA"), "userName": name}
	case 1:
		identity = object{"type": "AWSService", "invokedBy": call.service + ".amazonaws.com"}
	default:
		role := t.key("AROA")
		session := t.session("false")
		session["sessionIssuer"] = object{"type": "Role", "principalId": role, "arn": "arn:aws:iam::" + account + ":role/" + name, "accountId": account, "userName": name}
		session["webIdFederationData"] = object{}
		identity = object{"type": "AssumedRole", "principalId": role + ":i-0abc", "arn": "arn:aws:sts::" + account + ":assumed-role/" + name + "/i-0abc", "accountId": account, "accessKeyId": t.key("ASIA"), "sessionContext": session}
	}
	e := t.event(account, call.service, call.name, t.address(), pick(t, agents...), identity)
	e["tlsDetails"] = object{"tlsVersion": "TLSv1.3", "cipherSuite": "TLS_AES_128_GCM_SHA256", "clientProvidedHostHeader": call.service + ".us-east-1.amazonaws.com"}
	items := 1 + t.random.IntN(6)
	if t.random.IntN(50) == 0 {
		items = 40 + t.random.IntN(60)
	}
	e["requestParameters"] = object{"filterSet": object{"items": t.items(items)}, "type": "Root", "note": `{"type":"Root"}`}
	return []Record{t.call("another identity", e, "", "")}
}

func (t *Traffic) items(n int) []object {
	list := make([]object, n)
	for i := range list {
		list[i] = object{"instanceId": fmt.Sprintf("i-%017x", t.random.Uint64()), "subnetId": fmt.Sprintf("subnet-%017x", t.random.Uint64()), "tag": pick(t, "Name", "team", "cost-center")}
	}
	return list
}

// byItself is a call that a service made as root on its own: the service's name in all three
// places, and no credential.
func (t *Traffic) byItself(service, target, name string, reason classify.Reason) []Record {
	account, dns := t.account(), service+".amazonaws.com"
	e := t.event(account, target, name, dns, dns, root(account, object{"invokedBy": dns}))
	return []Record{t.call("service by itself", e, classify.ServiceInvoked, reason)}
}

func autoScaling(t *Traffic) []Record {
	return t.byItself("autoscaling", "ec2", pick(t, "RunInstances", "CreateTags", "TerminateInstances"), classify.KnownService)
}

func loadBalancer(t *Traffic) []Record {
	return t.byItself("elasticloadbalancing", "ec2", pick(t, "DeleteNetworkInterface", "CreateNetworkInterface", "DescribeSecurityGroups"), classify.KnownService)
}

func otherService(t *Traffic) []Record {
	return t.byItself("eks-nodegroup", "autoscaling", "CreateOrUpdateTags", classify.OtherService)
}

func rootKey(t *Traffic) []Record {
	account, address, key := t.account(), t.address(), t.key("AKIA")
	var records []Record
	for _, name := range []string{"GetCallerIdentity", "ListUsers", "CreateAccessKey"} {
		service := "iam"
		if name == "GetCallerIdentity" {
			service = "sts"
		}
		e := t.event(account, service, name, address, agents[1], root(account, object{"accessKeyId": key}))
		records = append(records, t.call("root key", e, classify.Unexplained, classify.AccessKey))
	}
	return records
}

// consoleSession is somebody at the console as root: a sign-in, then calls with the session, some
// through services.
func consoleSession(t *Traffic) []Record {
	account, address := t.account(), t.address()
	session := t.session("true")
	records := signInAs(t, account, address, "Success")
	for _, c := range []struct{ service, name string }{{"ec2", "StopInstances"}, {"health", "DescribeEventAggregates"}, {"iam", "CreateUser"}} {
		e := t.event(account, c.service, c.name, address, "console.amazonaws.com", root(account, object{"accessKeyId": t.key("ASIA"), "sessionContext": session}))
		e["sessionCredentialFromConsole"] = "true"
		records = append(records, t.call("root console session", e, classify.Unexplained, classify.ConsoleSession))
	}
	return records
}

func signIn(t *Traffic) []Record { return signInAs(t, t.account(), t.address(), "Success") }

func failedSignIn(t *Traffic) []Record { return signInAs(t, t.account(), t.address(), "Failure") }

func signInAs(t *Traffic, account, address, outcome string) []Record {
	e := t.event(account, "signin", "ConsoleLogin", address, "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36", root(account, nil))
	e["eventType"], e["awsRegion"] = "AwsConsoleSignIn", "us-east-1"
	e["responseElements"] = object{"ConsoleLogin": outcome}
	e["additionalEventData"] = object{"LoginTo": "https://console.aws.amazon.com/console/home", "MobileVersion": "No", "MFAUsed": pick(t, "Yes", "No")}
	if outcome == "Failure" {
		e["errorMessage"] = "Failed authentication"
	}
	return []Record{{
		Kind: "root sign-in", Data: t.wrap(pick(t, "AWS Console Sign In via CloudTrail", "AWS Console Signin via CloudTrail"), "aws.signin", e),
		Result: "root", Verdict: classify.Unexplained, Reason: classify.SignIn,
	}}
}

func forwarded(t *Traffic) []Record {
	account := t.account()
	e := t.event(account, "s3", "DeleteBucket", "cloudformation.amazonaws.com", "cloudformation.amazonaws.com",
		root(account, object{"invokedBy": "cloudformation.amazonaws.com", "accessKeyId": t.key("ASIA"), "sessionContext": t.session("true")}))
	return []Record{t.call("service on a person's session", e, classify.Unexplained, classify.Forwarded)}
}

func cliSession(t *Traffic) []Record {
	account := t.account()
	e := t.event(account, "ec2", "DescribeRegions", t.address(), agents[3], root(account, object{"accessKeyId": t.key("ASIA"), "sessionContext": t.session("true")}))
	return []Record{t.call("root at the command line", e, classify.Unexplained, classify.CLISession)}
}

func assumedRoot(t *Traffic) []Record {
	account := t.account()
	session := t.session("false")
	session["assumedRoot"] = "true"
	e := t.event(account, "s3", "DeleteBucketPolicy", t.address(), agents[3], root(account, object{"accessKeyId": t.key("ASIA"), "sessionContext": session}))
	return []Record{t.call("central root access", e, classify.Unexplained, classify.AssumedRoot)}
}

func internal(t *Traffic) []Record {
	account := t.account()
	e := t.event(account, "rds", "ModifyDBInstance", "AWS Internal", "AWS Internal", root(account, nil))
	return []Record{t.call("AWS Internal", e, classify.Unexplained, classify.AWSInternal)}
}

// forged is a root call that did not come from CloudTrail: PutEvents takes any detail-type, but no
// source of AWS's.
func forged(t *Traffic) []Record {
	account := t.account()
	e := t.event(account, "iam", "CreateAccessKey", t.address(), agents[0], root(account, object{"accessKeyId": t.key("AKIA")}))
	return []Record{{Kind: "forged source", Data: t.wrap("AWS API Call via CloudTrail", "com.example.attacker", e), Result: "foreign_source"}}
}

func broken(t *Traffic) []Record {
	r := ordinary(t)[0]
	return []Record{{Kind: "cut short", Data: r.Data[:len(r.Data)/2], Result: "undecodable"}}
}

func heartbeat(t *Traffic) []Record {
	region := pick(t, Regions...)
	return []Record{{Kind: "heartbeat", Result: "heartbeat", Data: encode(object{
		"version": "0", "id": t.id(), "detail-type": "Scheduled Event", "source": "aws.events", "account": t.account(), "time": t.now().UTC().Format(time.RFC3339),
		"region": region, "resources": []string{"arn:aws:events:" + region + ":111122223333:rule/rootwatch-heartbeat"}, "detail": object{},
	})}}
}

func otherBusTraffic(t *Traffic) []Record {
	return []Record{{Kind: "not CloudTrail", Result: "not_cloudtrail", Data: encode(object{
		"version": "0", "id": t.id(), "detail-type": "EC2 Instance State-change Notification", "source": "aws.ec2", "account": t.account(),
		"time": t.now().UTC().Format(time.RFC3339), "region": "us-east-1", "resources": []string{}, "detail": object{"instance-id": "i-0abc", "state": "running"},
	})}}
}

// delayedCopy delivers a root call a second time, in an envelope of its own, as EventBridge may.
func delayedCopy(t *Traffic) []Record {
	if len(t.repeat) == 0 {
		return ordinary(t)
	}
	r := t.repeat[0]
	t.repeat = t.repeat[1:]
	at := strings.Index(string(r.Data), `"id":"`) + len(`"id":"`)
	data := append([]byte(nil), r.Data...)
	copy(data[at:], t.id())
	return []Record{{Kind: "second delivery", Data: data, Result: "duplicate"}}
}
