"""What is said of each tenant as a ClusterReport, for programs that show such reports."""
