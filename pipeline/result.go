package pipeline

// result is what an event ends as. Every event is counted in exactly one of them.
type result uint8

const (
	resultRoot          result = iota // a root call, judged and shown
	resultNotRoot                     // a CloudTrail event by anybody else, or of a kind that names nobody
	resultNotCloudTrail               // valid JSON that is no CloudTrail event
	resultHeartbeat                   // a Scheduled Event: proof that the way from EventBridge is open
	resultForeignSource               // says that it comes from CloudTrail, and was put on the bus by somebody else
	resultUndecodable                 // broken, beyond a limit, or of a wrong type on the way to the verdict
	resultDuplicate                   // a copy of a root call that was finished before
	results
)

// resultNames are the values of the metrics' label.
var resultNames = [results]string{
	resultRoot:          "root",
	resultNotRoot:       "not_root",
	resultNotCloudTrail: "not_cloudtrail",
	resultHeartbeat:     "heartbeat",
	resultForeignSource: "foreign_source",
	resultUndecodable:   "undecodable",
	resultDuplicate:     "duplicate",
}

func (r result) String() string { return resultNames[r] }

// resultCounts holds a batch's events by result, until emit adds them to the metrics.
type resultCounts [results]int

func (c *resultCounts) add(other resultCounts) {
	for r, n := range other {
		c[r] += n
	}
}
