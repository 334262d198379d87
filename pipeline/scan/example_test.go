package scan_test

import (
	"fmt"

	"rootwatch/pipeline/scan"
)

func ExampleNext() {
	for _, data := range []string{
		`{"eventSource":"ec2.amazonaws.com","eventName":"RunInstances","userIdentity":{"type":"IAMUser"}} and more`,
		`{"eventSource":"ec2.amazonaws.com","eventName":"RunInstances","userIdentity":{"type":"Root"}}`,
		`{"eventSource":"ec2.amazonaws.com","eventName":"RunInstances","userIdentity":{"ty`,
		`{"eventSource":"ec2.amazonaws.com" "eventName":"RunInstances"}`,
	} {
		n, v := scan.Next([]byte(data))
		fmt.Println(n, v)
	}
	// Output:
	// 96 not root
	// 93 unsure
	// 0 incomplete
	// 0 invalid
}
