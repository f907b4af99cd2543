<#
.SYNOPSIS
Reserves kube-proxy's source VIP in the overlay network and makes its configuration with it.
.DESCRIPTION
host-local keeps the address away from pods. A reservation outside the network's subnet is given up first, and a second
ADD for the same id fails, so the reservation that is there is read. See README.md for the JSON.
.PARAMETER Request
JSON object: network, hostLocal, template, config.
.EXAMPLE
powershell.exe -File Set-SourceVip.ps1 -Request (Get-Content -Raw -Path C:\k\source-vip.json)
#>
[CmdletBinding(SupportsShouldProcess = $true)]
param([Parameter(Mandatory = $true)][string]$Request)
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

$ContainerId = 'kube-proxy-source-vip'

function Get-Subnet {
    param([string]$Name)
    $found = @(Get-HnsNetwork | Where-Object { $_.Name -eq $Name })
    if ($found.Count -eq 0) { throw "WN0701 HNS has no network $Name" }
    return $found[0].Subnets[0].AddressPrefix
}

function Get-Prefix {
    param([string]$Subnet)
    # flannel gives every node a /24.
    return $Subnet.Substring(0, $Subnet.LastIndexOf('.') + 1)
}

function Find-Reservation {
    param([string]$Folder, [string]$Prefix)
    if (-not (Test-Path -Path $Folder)) { return '' }
    foreach ($file in @(Get-ChildItem -Path $Folder -Filter "$Prefix*")) {
        if ((Get-Content -Path $file.FullName -TotalCount 1) -eq $ContainerId) { return $file.Name }
    }
    return ''
}

function Invoke-HostLocal {
    param($Wanted, [string]$Subnet, [string]$Command)
    $env:CNI_COMMAND = $Command
    $env:CNI_CONTAINERID = $ContainerId
    $env:CNI_NETNS = $ContainerId
    $env:CNI_IFNAME = 'vip'
    $env:CNI_PATH = 'C:\k\cni'
    $ipam = [ordered]@{ type = 'host-local'; ranges = @(, @(@{ subnet = $Subnet })); dataDir = '/var/lib/cni/networks' }
    $conf = [ordered]@{ cniVersion = '0.3.1'; name = $Wanted.network; ipam = $ipam }
    $shown = (ConvertTo-Json -InputObject $conf -Compress -Depth 6) | & $Wanted.hostLocal
    if ($LASTEXITCODE -ne 0) { throw "WN0701 host-local $Command ended with ${LASTEXITCODE}: $($shown -join ' ')" }
    return $shown -join "`n"
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

$wanted = Read-Request -Text $Request -Fields @('network', 'hostLocal', 'template', 'config')
$subnet = Get-Subnet -Name $wanted.network
$prefix = Get-Prefix -Subnet $subnet
$vip = Find-Reservation -Folder "C:\var\lib\cni\networks\$($wanted.network)" -Prefix $prefix
if (-not $vip -and $PSCmdlet.ShouldProcess($wanted.network, 'reserve a source VIP')) {
    Invoke-HostLocal -Wanted $wanted -Subnet $subnet -Command 'DEL' | Out-Null
    $result = ConvertFrom-Json -InputObject (Invoke-HostLocal -Wanted $wanted -Subnet $subnet -Command 'ADD')
    $vip = $result.ips[0].address.Split('/')[0]
}
$text = ''
if (Test-Path -Path $wanted.config) { $text = (Get-Content -Path $wanted.config) -join "`n" }
$template = (Get-Content -Path $wanted.template) -join "`n"
$mended = [regex]::Replace($template, '(?m)^(\s*sourceVip:).*$', "`$1 '$vip'")
$changed = $text.Trim() -ne $mended.Trim()
if ($changed -and $PSCmdlet.ShouldProcess($wanted.config, 'write the source VIP')) {
    # Ascii: Windows PowerShell would put a byte-order mark before UTF-8.
    Set-Content -Path $wanted.config -Value $mended -Encoding Ascii
}
$answer = [ordered]@{
    changed = $changed
    sourceVip = $vip
}
ConvertTo-Json -InputObject $answer -Compress -Depth 5
