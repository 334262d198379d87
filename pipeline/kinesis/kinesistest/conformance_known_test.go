package kinesistest_test

// knownFaults are the facts that an emulator is known to get wrong, with what it does instead. The sources
// for what AWS does are its API reference and developer guides, and what ScyllaDB's, moto's and the
// emulators' own tests have found out by asking it.
var knownFaults = map[string]map[string]string{
	"kinesalite": {
		"an ARN does for a name":                                                "there are no ARNs yet",
		"AT_TIMESTAMP after the last record waits for the next":                 "GetShardIterator never answers",
		"an answer has at most 10 MB":                                           "12 MB at once",
		"MillisBehindLatest tells a reader that is behind from one that is not": "it is always 0",
		"ListShards gives pages, by NextToken or after a shard":                 "all shards at once",
		"the end of a split shard names its children":                           "no ChildShards",
		"the end of a merged shard names the child with both its parents":       "no ChildShards",
		"a closed shard can not be split again":                                 "it can",
		"ShardFilter AT_LATEST gives the open shards":                           "no ShardFilter",
		"UpdateShardCount doubles by splits":                                    "no UpdateShardCount",
		"UpdateShardCount to an odd number makes equal shards":                  "no UpdateShardCount",
		"UpdateShardCount can not more than double or halve":                    "no UpdateShardCount",
	},
	"dynalite": {
		"a failed condition changes nothing and shows the item if asked": "no ReturnValuesOnConditionCheckFailure",
		"a transaction does all or nothing, and says why not":            "no transactions",
		"a transaction with a token is done once":                        "no transactions",
		"time to live is switched on and described":                      "no UpdateTimeToLive",
		"capacity is counted per KB written and per 4 KB read":           "a scan of 5 KB counts as one of 4",
		"lists are equal when their elements are":                        "lists are never equal",
		"only strings, numbers and binaries have an order":               "any literal may stand beside <",
		"indexes of a list are those before the update":                  "each removal shifts the indexes for the next",
		"an update makes an item, unless it only takes away":             "REMOVE makes an item",
	},
	"kinesis-local": {
		"AT_TIMESTAMP may not be in the future":                "it may",
		"a sequence number must be this shard's":               "another shard's will do",
		"nonsense for a sequence number is refused":            "it is taken",
		"a sequence number is for no other type":               "it is ignored with LATEST",
		"what is no iterator is InvalidArgumentException":      "500",
		"PutRecords takes 1 to 500 records":                    "it takes none, and 501",
		"a closed shard can not be split again":                "ResourceInUseException",
		"UpdateShardCount to an odd number makes equal shards": "one is as large as two others",
	},
	"dynoxide": {
		"only strings, numbers and binaries have an order":   "any literal may stand beside <",
		"attribute_type knows its types":                     "any text will do",
		"an attribute is not compared with itself":           "it is",
		"a place behind the end of a list is its end":        "the list is filled up with NULLs",
		"places behind the end of a list keep their order":   "the list is filled up with NULLs",
		"indexes of a list are those before the update":      "each removal shifts the indexes for the next",
		"an update makes an item, unless it only takes away": "REMOVE makes an item",
	},
}
