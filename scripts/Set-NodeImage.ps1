<#
.SYNOPSIS
Pulls images that a node should have before it takes pods.
.DESCRIPTION
Asks containerd for its images and pulls those that are missing. See README.md for the JSON.
.PARAMETER Request
JSON object: ctr, images.
.EXAMPLE
powershell.exe -File Set-NodeImage.ps1 -Request '{"ctr": "C:\\Program Files\\containerd\\ctr.exe", "images": []}'
#>
[CmdletBinding(SupportsShouldProcess = $true)]
param([Parameter(Mandatory = $true)][string]$Request)
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

$wanted = ConvertFrom-Json -InputObject $Request
$present = @(& $wanted.ctr @('--namespace', 'k8s.io', 'images', 'list', '--quiet'))
if ($LASTEXITCODE -ne 0) { throw "WN0801 ctr images list ended with $LASTEXITCODE" }
$missing = @(@($wanted.images) | Where-Object { $present -notcontains $_ })
foreach ($image in $missing) {
    if (-not $PSCmdlet.ShouldProcess($image, 'pull')) { continue }
    $shown = & $wanted.ctr @('--namespace', 'k8s.io', 'images', 'pull', $image) 2>&1
    if ($LASTEXITCODE -ne 0) { throw "WN0801 $image cannot be pulled: $(@($shown)[-1])" }
}
$answer = [ordered]@{
    changed = $missing.Count -gt 0
    images = $missing
}
ConvertTo-Json -InputObject $answer -Compress -Depth 5
