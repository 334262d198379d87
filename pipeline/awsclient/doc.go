// Package awsclient makes AWS clients that believe no answer which lacks what its caller relies on.
// It is the one place where that is checked. Between AWS and this program stand proxies, endpoints
// of a VPC and emulators: an empty object with status 200 has been seen, and a caller that takes it
// for the truth ends a shard, forgets all leases, or dereferences nothing. What is strange comes
// back as an *awserr.StrangeError, which is tried again like a server's error.
package awsclient
