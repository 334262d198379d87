# The three stacks, for those who run CloudFormation by Terraform. Two sets of credentials are needed: the account that
# the worker runs in (the default provider) and the organisation's management account (aws.management).
#
# Copy it, or use it as a module from a checkout of a release:
#   module "rootwatch" {
#     source    = "./rootwatch/deploy/terraform"
#     providers = { aws = aws, aws.management = aws.management }
#     ...
#   }

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source = "hashicorp/aws"
      # From 6.0 on a resource can name its region: the management account needs a stack in each.
      version               = ">= 6.0"
      configuration_aliases = [aws.management]
    }
  }
}

locals {
  templates = "${path.module}/../cloudformation"
}

resource "aws_cloudformation_stack" "central" {
  name          = "rootwatch-central"
  template_body = file("${local.templates}/central.yaml")
  capabilities  = ["CAPABILITY_IAM"]

  parameters = {
    OrganizationId           = var.organization_id
    CloudTrailEvents         = var.cloudtrail_events
    TrustedSources           = join(",", var.trusted_sources)
    KeepForeignEvents        = var.keep_foreign_events ? "yes" : "no"
    AcceptSchedulerHeartbeat = var.heartbeat_via == "scheduler" ? "yes" : "no"
    StreamMode               = var.stream_mode
    AlarmTopicArn            = var.alarm_topic_arn
  }
}

locals {
  # All of the template's parameters: a StackSet that leaves one out never comes to rest in Terraform's eyes.
  forwarder = {
    CentralBusArn      = aws_cloudformation_stack.central.outputs["BusArn"]
    CloudTrailEvents   = var.cloudtrail_events
    TrustedSources     = join(",", var.trusted_sources)
    HeartbeatAccountId = var.heartbeat_account_id
    HeartbeatVia       = var.heartbeat_via
    AlarmTopicName     = var.forwarder_alarm_topic_name
  }
}

# Every member account and region, those that join later included.
resource "aws_cloudformation_stack_set" "forwarder" {
  provider = aws.management

  name             = "rootwatch-forwarder"
  permission_model = "SERVICE_MANAGED"
  template_body    = file("${local.templates}/forwarder.yaml")
  capabilities     = ["CAPABILITY_IAM"]
  parameters       = local.forwarder

  auto_deployment {
    enabled                          = true
    retain_stacks_on_account_removal = false
  }
  operation_preferences {
    region_concurrency_type      = "PARALLEL"
    max_concurrent_percentage    = 100
    failure_tolerance_percentage = 20
  }
  lifecycle {
    ignore_changes = [administration_role_arn] # AWS fills it in for a SERVICE_MANAGED set
  }
}

resource "aws_cloudformation_stack_instances" "forwarder" {
  provider = aws.management

  stack_set_name = aws_cloudformation_stack_set.forwarder.name
  regions        = var.regions
  deployment_targets {
    organizational_unit_ids = [var.organization_root_id]
  }
  operation_preferences {
    region_concurrency_type      = "PARALLEL"
    max_concurrent_percentage    = 100
    failure_tolerance_percentage = 20
  }
}

# StackSets leave the management account out, and its root is the most powerful of all.
resource "aws_cloudformation_stack" "management" {
  provider = aws.management
  for_each = toset(var.regions)
  region   = each.value

  name          = "rootwatch-forwarder"
  template_body = file("${local.templates}/forwarder.yaml")
  capabilities  = ["CAPABILITY_IAM"]
  parameters    = local.forwarder
}

resource "aws_cloudformation_stack" "service" {
  name          = "rootwatch-service"
  template_body = file("${local.templates}/service.yaml")
  capabilities  = ["CAPABILITY_IAM"]

  parameters = {
    Image                 = var.image
    ImageRepositoryArn    = var.image_repository_arn
    StreamArn             = aws_cloudformation_stack.central.outputs["StreamArn"]
    TrustedSources        = join(",", var.trusted_sources)
    HeartbeatRegions      = join(",", var.regions)
    VpcId                 = var.vpc_id
    SubnetIds             = join(",", var.subnet_ids)
    AssignPublicIp        = var.assign_public_ip ? "ENABLED" : "DISABLED"
    ScrapeSecurityGroupId = var.scrape_security_group_id
  }
}
