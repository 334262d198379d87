package classify_test

import (
	"encoding/json"
	"fmt"

	"rootwatch/classify"
)

func Example() {
	records := []string{
		`{"eventSource":"ec2.amazonaws.com","eventName":"DeleteNetworkInterface","eventType":"AwsApiCall",
		  "sourceIPAddress":"elasticloadbalancing.amazonaws.com","userAgent":"elasticloadbalancing.amazonaws.com",
		  "userIdentity":{"type":"Root","accountId":"111122223333","invokedBy":"elasticloadbalancing.amazonaws.com"}}`,
		`{"eventSource":"iam.amazonaws.com","eventName":"CreateUser","eventType":"AwsApiCall",
		  "sourceIPAddress":"203.0.113.7","userAgent":"elasticloadbalancing.amazonaws.com",
		  "userIdentity":{"type":"Root","accountId":"111122223333","accessKeyId":"AKIAIOSFODNN7EXAMPLE"}}`,
		`{"eventSource":"iam.amazonaws.com","eventName":"CreateUser","userIdentity":{"type":"IAMUser"}}`,
	}
	for _, record := range records {
		var ev classify.Event
		if err := json.Unmarshal([]byte(record), &ev); err != nil {
			fmt.Println(err)
			continue
		}
		if !classify.IsRoot(&ev) {
			fmt.Println("not root")
			continue
		}
		f := classify.Classify(&ev)
		fmt.Println(f.Verdict, f.Reason, f.Severity)
		fmt.Println("  " + f.Explanation)
	}
	// Output:
	// service_invoked known_service none
	//   elasticloadbalancing.amazonaws.com called ec2 DeleteNetworkInterface as root on its own: no key and no session were used
	// unexplained access_key critical
	//   iam CreateUser was called as root from 203.0.113.7 with the long-lived key AKIAIOSFODNN7EXAMPLE; this creates a user
	// not root
}
