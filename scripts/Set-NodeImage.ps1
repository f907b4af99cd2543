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

function Invoke-Ctr {
    param([string]$Program, [string[]]$Arguments)
    # Windows PowerShell makes an error of each line on stderr; Stop would throw the first warning.
    $ErrorActionPreference = 'Continue'
    & $Program (@('--namespace', 'k8s.io') + $Arguments) 2>&1 | ForEach-Object { "$_" }
}

function Read-Request {
    param([string]$Text, [string[]]$Fields)
    try { $parsed = ConvertFrom-Json -InputObject $Text }
    catch { throw "WN0001 the request is no JSON: $($_.Exception.Message)" }
    foreach ($field in $Fields) {
        if ($null -eq $parsed.PSObject.Properties[$field]) { throw "WN0001 the request lacks the field $field" }
    }
    return $parsed
}

$wanted = Read-Request -Text $Request -Fields @('ctr', 'images')
$present = @(Invoke-Ctr -Program $wanted.ctr -Arguments @('images', 'list', '--quiet'))
if ($LASTEXITCODE -ne 0) { throw "WN0801 ctr images list ended with ${LASTEXITCODE}: $($present -join ' ')" }
$missing = @(@($wanted.images) | Where-Object { $present -notcontains $_ })
foreach ($image in $missing) {
    if (-not $PSCmdlet.ShouldProcess($image, 'pull')) { continue }
    $shown = @(Invoke-Ctr -Program $wanted.ctr -Arguments @('images', 'pull', $image))
    if ($LASTEXITCODE -ne 0) { throw "WN0801 $image cannot be pulled: $($shown | Select-Object -Last 1)" }
}
$answer = [ordered]@{
    changed = $missing.Count -gt 0
    images = $missing
}
ConvertTo-Json -InputObject $answer -Compress -Depth 5
