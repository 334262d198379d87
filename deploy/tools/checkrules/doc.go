// Command checkrules checks what promtool does not know about the files in deploy/prometheus and
// deploy/runbooks:
//
//   - every metric, label and label value in a rule is one that the worker exports (contract.go);
//   - alerts follow the conventions: severity, summary without a value, description, runbook_url;
//   - gauges in alerts are read over a range, so that one failed scrape hides nothing;
//   - every alert has a runbook, every runbook an alert, and the runbooks' index names them all;
//   - every alert has a unit test in which it fires, with its texts, and one in which it does not.
//
// With -metrics it also compares the contract with what a running worker exports.
package main
