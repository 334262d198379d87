output "discovery_name" {
  description = "A records of the tasks, for dns_sd_configs with port 9844."
  value       = aws_cloudformation_stack.service.outputs["DiscoveryName"]
}

output "cluster_arn" {
  description = "ECS cluster of the service, for aws_sd_configs."
  value       = aws_cloudformation_stack.service.outputs["ClusterArn"]
}

output "dead_letters_url" {
  description = "Queue of the events that did not reach the stream."
  value       = aws_cloudformation_stack.central.outputs["DeadLettersUrl"]
}

output "foreign_source_alarm" {
  description = "Alarm for events that claim to be CloudTrail's and come from another source."
  value       = aws_cloudformation_stack.central.outputs["ForeignSourceAlarm"]
}
